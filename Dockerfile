# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# The dependencies first: they are built again only when the lock file changes.
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --bin flexcast \
    && rm -r src
COPY src src
# Newer than what was built above, whatever the files' dates in the checkout.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin flexcast

FROM debian:bookworm-slim AS run
# Not pinned: Debian removes what it supersedes, and these are wanted as they are today: the
# certificates and time zones of the world.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin flexcast \
    && install -d -o flexcast -g flexcast /var/lib/flexcast
COPY --from=build /build/target/release/flexcast /usr/local/bin/flexcast
COPY examples /usr/share/flexcast/examples

LABEL org.opencontainers.image.title="flexcast" \
      org.opencontainers.image.description="Bulk outbound campaigns for Twilio Flex, once each"

USER 10001
WORKDIR /usr/share/flexcast
ENV FLEXCAST_STATE=/var/lib/flexcast
VOLUME /var/lib/flexcast
EXPOSE 9464
# A consumer drains on SIGTERM: it finishes what is in flight and exits with 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["flexcast"]
CMD ["work", "--http", "0.0.0.0:9464"]
