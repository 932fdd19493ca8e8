# MinIO from its Go module at a pinned version: its public images are no longer kept up.
FROM golang:1-bookworm AS build
ARG MINIO_VERSION
RUN CGO_ENABLED=0 go install "github.com/minio/minio@${MINIO_VERSION}"

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /data --create-home minio
COPY --from=build /go/bin/minio /usr/bin/minio
USER minio
VOLUME /data
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["curl", "-fs", "http://127.0.0.1:9000/minio/health/ready"]
ENTRYPOINT ["minio"]
CMD ["server", "/data", "--address", ":9000"]
