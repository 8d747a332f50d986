# As quay.io/prometheus-operator/prometheus-operator, as far as its users see.
FROM scratch
COPY program /bin/operator
USER 65534
ENTRYPOINT ["/bin/operator"]
