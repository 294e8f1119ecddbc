# Every check by name; developers, pre-commit and continuous integration call these same recipes.
# `just` comes with the [dev] extra: .venv/bin/just, then a name. `just --list` shows them all.

python := env("PYTHON", if path_exists(".venv/bin/python") == "true" { ".venv/bin/python" } else { "python3" })
bin := if python =~ "/" { parent_directory(python) + "/" } else { "" }

# show the recipes
default:
    @just --list

# make .venv with everything that developing needs
setup:
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet -e '.[dev]'
    .venv/bin/pre-commit install

# fast tests; arguments go to pytest
test *arguments:
    {{ python }} -m pytest {{ arguments }}

# the tests that take longer
test-slow *arguments:
    {{ python }} -m pytest -m slow {{ arguments }}

# style and format
lint:
    {{ bin }}ruff check .
    {{ bin }}ruff format --check .

# put style and format right where that can be done by itself
fix:
    {{ bin }}ruff check --fix .
    {{ bin }}ruff format .

# types
types:
    {{ bin }}ty check{{ if bin == "" { "" } else { " --python " + python } }}

# the import contract: floors, and no torch in the base
contract:
    {{ bin }}lint-imports

# everything that a change needs before it is handed in
check: lint types contract test

# put a finished training run into the package as the weights of a catalogue entry
embed run name="lite":
    {{ python }} -c "from tools.bundle import bundle_run; bundle_run('{{ run }}', 'src/leadline/weights/{{ name }}.onnx', licence='Apache-2.0')"

# the documents as a site, in site/; a broken link fails
docs:
    {{ python }} -m tools.site
    PYTHONPATH=. {{ bin }}zensical build --strict

# make the pictures and tables of the documents
figures:
    {{ python }} -m tools.figures
