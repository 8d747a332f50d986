# As docker.io/versity/versitygw, but for its script that reads more variables than the program.
FROM scratch
COPY program /usr/local/bin/versitygw
USER 65534
ENTRYPOINT ["/usr/local/bin/versitygw"]
