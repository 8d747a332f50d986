# As quay.io/prometheus/pushgateway, as far as its users see.
FROM scratch
COPY program /bin/pushgateway
USER 65534
EXPOSE 9091
WORKDIR /pushgateway
ENTRYPOINT ["/bin/pushgateway"]
