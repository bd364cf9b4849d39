"""The world for tests: real core and agents on fake time, network, disk and machines. Product code never imports it."""
