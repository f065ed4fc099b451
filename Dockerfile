# The page on a server of one's own, or as a Docker Space: docs/deploy.md.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 user
ENV PATH=/home/user/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/user/app
RUN chown user:user /home/user/app
USER user

# uv knows where torch without CUDA is: 0.2 GB in place of 2.9.
COPY --chown=user:user requirements.txt .
RUN python -m venv /home/user/.venv \
    && pip install --no-cache-dir uv \
    && uv pip install --no-cache --torch-backend cpu --requirement requirements.txt

COPY --chown=user:user . .
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
HEALTHCHECK --start-period=60s --interval=30s --timeout=5s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/health')"]
CMD ["python", "app.py"]
