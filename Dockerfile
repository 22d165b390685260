# The image holds the static binary, CA certificates and nothing to log into.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t matomo-scim-bridge .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 \
#     -v "$PWD/etc:/etc/matomo-scim-bridge:ro" -v state:/var/lib/matomo-scim-bridge matomo-scim-bridge
#
# Podman and buildah write the OCI format, which has no HEALTHCHECK: tell them --format docker.
#
# In bridge.yaml say database.url: sqlite:/var/lib/matomo-scim-bridge/bridge.db
# (the folder of the configuration is read-only here), and listen.metrics: ":9464"
# if the metrics are to be reached from outside the container.

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION" DIST=/out
# Folders cannot be made in an image without a shell.
RUN mkdir -p /root-of-image/var/lib/matomo-scim-bridge /root-of-image/tmp && chmod 1777 /root-of-image/tmp
RUN scripts/licences /out/matomo-scim-bridge >/root-of-image/LICENSES.txt

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /root-of-image/ /
COPY --from=build /out/matomo-scim-bridge /matomo-scim-bridge

ENV SCIM_BRIDGE_CONFIG=/etc/matomo-scim-bridge/bridge.yaml
USER 65532:65532
VOLUME /var/lib/matomo-scim-bridge
EXPOSE 8080 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/matomo-scim-bridge", "health", "--quiet"]
ENTRYPOINT ["/matomo-scim-bridge"]
CMD ["serve"]

ARG VERSION=dev
LABEL org.opencontainers.image.title="matomo-scim-bridge" \
      org.opencontainers.image.description="SCIM 2.0 provisioning for Matomo: joiners, movers and leavers" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0"
