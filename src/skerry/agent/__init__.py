"""The site's shell: receive, observe, plan, perform, report. It decides nothing and never needs the core to be there."""
