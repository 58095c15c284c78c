# fanstorm alone, for hosts that run containers:
#
#   docker build -t fanstorm .
#   docker run --rm --network host --ulimit nofile=1048576 --security-opt seccomp=unconfined fanstorm --node ws://…
#
# Docker's own seccomp profile refuses io_uring (moby#46762). Without `--security-opt seccomp=unconfined` (or a profile that
# allows io_uring_setup, io_uring_enter and io_uring_register) fanstorm says so and takes epoll: the same figures, at
# more CPU time for each copy. `--network host` spares the figures a bridge and its connection tracking.
FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY docs docs
COPY tuning tuning
RUN cargo build --locked --release --bin fanstorm && strip target/release/fanstorm

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/fanstorm /usr/local/bin/fanstorm
USER 65534:65534
ENTRYPOINT ["fanstorm"]
