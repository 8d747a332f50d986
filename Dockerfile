# The operator and the command line, one static program, on nothing.
#
#   docker build -t simplepipe .
#
# Static on glibc: `+crt-static` with the target named, so that procedural macros, which the compiler loads, stay
# dynamic. Builds for the architecture of its base: for another, `docker build --platform linux/arm64 .`
ARG BUILD_BASE=docker.io/library/rust:1.95.0-slim-bookworm
FROM ${BUILD_BASE} AS build
WORKDIR /build
ENV CARGO_HOME=/cargo CARGO_INCREMENTAL=0 RUSTFLAGS="-C target-feature=+crt-static"

# The dependencies first, in a layer that stays as long as they do.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src \
 && echo 'fn main() {}' > src/main.rs \
 && : > src/lib.rs \
 && cargo build --release --locked --target "$(rustc -vV | sed -n 's/^host: //p')"

COPY . .
# Their times may lie before those of the files above, and Cargo goes by times.
RUN touch src/main.rs src/lib.rs \
 && target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --release --locked --target "$target" \
 && cp "target/$target/release/simplepipe" /simplepipe

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="simplepipe" \
      org.opencontainers.image.description="Push metrics for every Kubernetes namespace" \
      org.opencontainers.image.source="https://github.com/simplepipe/simplepipe" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /simplepipe /simplepipe
USER 65532:65532
ENTRYPOINT ["/simplepipe"]
