FROM scratch
COPY program /pause
USER 65535:65535
ENTRYPOINT ["/pause"]
