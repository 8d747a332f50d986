# As quay.io/argoproj/workflow-controller, as far as its users see.
FROM scratch
COPY program /bin/workflow-controller
USER 8737
ENTRYPOINT ["workflow-controller"]
