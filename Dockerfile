# The image holds one static binary and the certificates it needs: no shell, no
# package manager, no root.
#
#   docker build --build-arg VERSION=v0.1.0 -t plumbline .

ARG GO_VERSION=1.26
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
ARG TARGETOS TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/plumbline ./cmd/plumbline \
    && mkdir -p /out/cache

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/plumbline /plumbline
# Mirrors of the repository. Mount a volume here to keep them over restarts.
COPY --from=build --chown=65532:65532 /out/cache /var/cache/plumbline
ENV PLUMBLINE_CACHE=/var/cache/plumbline
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/plumbline"]
CMD ["run", "--config", "/etc/plumbline/config.yaml"]
