# As registry.k8s.io/coredns/coredns, as far as its users see.
FROM scratch
COPY program /coredns
USER 65532:65532
EXPOSE 53 53/udp
ENTRYPOINT ["/coredns"]
