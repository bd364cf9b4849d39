"""The site's shell: receive, observe, plan, perform, report. It decides nothing and needs no core to be there."""
