"""A model for the test: its answer is the sum of each row, and it refuses negative numbers."""

import time

# Seldon's executor, which stands before a model and counts its requests, is in no package that the test could install. So
# the model measures itself, under the executor's names and labels.
REQUESTS = "seldon_api_executor_server_requests_seconds"


class Churn:
    def predict(self, rows, names, meta=None):
        began = time.perf_counter()
        self.code = "400" if any(value < 0 for row in rows for value in row) else "200"
        sums = [[float(sum(row))] for row in rows]
        self.took_ms = (time.perf_counter() - began) * 1000
        return sums

    def metrics(self):
        tags = {"service": "predictions", "code": self.code}
        # What could pass for somebody else's, or for Prometheus' own.
        forged = {"namespace": "bob", "pod": "pod-of-bob", "cluster": "elsewhere"}
        return [
            {"type": "TIMER", "key": REQUESTS, "value": self.took_ms, "tags": tags},
            {"type": "GAUGE", "key": "serving_marker", "value": 1, "tags": forged},
            {"type": "GAUGE", "key": "up", "value": 0},
            {"type": "GAUGE", "key": "kube_forged", "value": 1},
        ]
