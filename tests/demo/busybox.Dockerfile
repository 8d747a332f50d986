# The image that the demo's job asks for, made of Debian's busybox-static.
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN ["/bin/mkdir", "-m", "1777", "/tmp"]
USER 65532:65532
CMD ["/bin/sh"]
