# As quay.io/argoproj/argoexec, as far as its users see; but not for root, as its tag with `-nonroot`.
FROM scratch
COPY program /bin/argoexec
USER 8737
ENTRYPOINT ["argoexec"]
