# As quay.io/prometheus-operator/prometheus-config-reloader, as far as its users see.
FROM scratch
COPY program /bin/prometheus-config-reloader
USER 65534
ENTRYPOINT ["/bin/prometheus-config-reloader"]
