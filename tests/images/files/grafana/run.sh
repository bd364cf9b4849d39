#!/bin/sh
# Prometheus in the place of Grafana: at port 3000 it shows what the data source of Grafana's provisioning files has.
# Reads `url:` of /etc/grafana/provisioning/datasources/*.yml; no other setting of Grafana means anything here.
set -eu
url=$(sed -n 's/^[ -]*url: *//p' /etc/grafana/provisioning/datasources/*.y*ml | head -n 1 | tr -d "\"'")
target=${url#http://}
cat >/tmp/prometheus.yml <<END
global:
  scrape_interval: 2s
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params:
      "match[]": ['{job=~".+"}']
    static_configs:
      - targets: ["${target%/}"]
END
exec prometheus --config.file=/tmp/prometheus.yml --storage.tsdb.path=/prometheus --web.listen-address=:3000
