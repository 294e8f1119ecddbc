"""What only maintainers run: bundling the embedded weights, figures and tables of the documents."""
