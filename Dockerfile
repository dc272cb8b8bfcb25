# docker build --build-arg VERSION=$(git describe --tags --always) -t inlet .
# docker run -v inlet:/home/inlet/.inlet -p 9735:9735 inlet run
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" \
        -o /root/program/usr/local/bin/inlet ./cmd/inlet \
    && mkdir -p /root/data/home/inlet/.inlet /root/data/tmp \
    && chmod 700 /root/data/home/inlet/.inlet /root/data/tmp

# Nothing but the program: no shell, no libraries, no root.
FROM scratch
COPY --from=build /root/program /
COPY --from=build --chown=10001:10001 /root/data /
ENV HOME=/home/inlet
USER 10001:10001
VOLUME /home/inlet/.inlet
# Lightning, and the admin side, which listens on the container's own loopback unless told otherwise.
EXPOSE 9735 9736
ENTRYPOINT ["/usr/local/bin/inlet"]
CMD ["run"]
