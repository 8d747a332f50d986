# As quay.io/prometheus/prometheus, as far as its users see.
FROM scratch
COPY program /bin/prometheus
USER 65534
EXPOSE 9090
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
