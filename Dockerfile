# The page and the REST interface on the processor:
#   docker build -t leadline .
#   docker run --rm -p 127.0.0.1:7860:7860 --read-only --tmpfs /tmp leadline
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/leadline \
    && /opt/leadline/bin/pip install --no-cache-dir ".[serve,geometry,video,heic,exr]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home leadline
COPY --from=build /opt/leadline /opt/leadline
ENV PATH=/opt/leadline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HOME=/tmp
USER 10001
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/readyz', timeout=4)"]
ENTRYPOINT ["leadline", "serve", "--host", "0.0.0.0"]
CMD ["--model", "lite-metric", "--model", "lite"]
