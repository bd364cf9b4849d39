"""Every series that the core exposes, declared once: what is written, the page that lists them, dashboard and alerts.

Times are seconds, amounts bytes, without prefixes (https://prometheus.io/docs/practices/naming/). A series that is not
declared here does not exist.
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "info"]
#: Who is shown a series: operators alone, everybody who sees the site, the tenant whose instances it is about.
Reader = Literal["operator", "site", "tenant"]
_SUFFIXES: dict[Kind, str] = {"counter": "_total", "gauge": "", "info": "_info"}


class Family(msgspec.Struct, frozen=True):
    """Series of one name."""

    kind: Kind
    #: Without the suffix of its kind.
    name: str
    #: Help, one sentence.
    line: str
    reader: Reader
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> str:
        """The name as it is stored and asked for."""
        return self.name + _SUFFIXES[self.kind]


_SITE = ("site",)
_INSTANCE = ("site", "tenant", "app", "service", "instance")

# --- the core itself -------------------------------------------------------------------------------------------------

BUILD = Family("info", "skerry_build", "The release of this core.", "operator", ("version",))
SITES = Family("gauge", "skerry_sites", "Sites by state.", "operator", ("state",))
SAMPLES = Family("counter", "skerry_samples", "Samples of use taken since the start.", "operator")
PLAN_VERSION = Family(
    "gauge", "skerry_plan_version", "Version of the wishes that the newest plan stands on.", "operator"
)
_PAIR = ("site", "other")
RELAY_UP = Family("gauge", "skerry_relay_up", "1 while the core's relay runs.", "operator")
RELAY_BYTES = Family("counter", "skerry_relay_bytes", "Bytes that the core's relay passed on.", "operator", _PAIR)
RELAY_DROPPED = Family(
    "counter",
    "skerry_relay_dropped",
    "Messages that the core's relay did not pass on: from nobody who may, or above what a pair may send.",
    "operator",
    (*_PAIR, "why"),
)
CPU = Family("counter", "process_cpu_seconds", "Processor time of the core.", "operator")
MEMORY = Family("gauge", "process_resident_memory_bytes", "Memory of the core.", "operator")

# --- sites -----------------------------------------------------------------------------------------------------------

NETWORK_BYTES = Family(
    "counter",
    "skerry_network_bytes",
    "Bytes between a network and anywhere else, since its node counts them: sent, received, or dropped by a rule.",
    "tenant",
    ("site", "tenant", "app", "network", "way"),
)
NETWORK_PACKETS = Family(
    "counter",
    "skerry_network_packets",
    "Packets of the same.",
    "tenant",
    ("site", "tenant", "app", "network", "way"),
)
PEER_ROUND_TRIP = Family(
    "gauge",
    "skerry_peer_round_trip_seconds",
    "Round trip of questions for names to another site.",
    "operator",
    ("site", "peer"),
)
PEER_QUESTIONS = Family(
    "counter",
    "skerry_peer_questions",
    "Questions for names to another site, answered and lost: their share of lost ones is the loss.",
    "operator",
    ("site", "peer", "answer"),
)
PEER_BYTES = Family(
    "counter", "skerry_peer_bytes", "Bytes through the tunnel to another site.", "operator", ("site", "peer", "way")
)
UPLINK_BYTES = Family(
    "gauge",
    "skerry_uplink_month_bytes",
    "Bytes over an uplink this month, by what they were for.",
    "operator",
    ("site", "uplink", "purpose"),
)
LEFT_OUT = Family(
    "gauge",
    "skerry_sites_left_out",
    "Visible sites without series here: scrape site by site, see /v1/metrics/http-sd.",
    "site",
)
SITE_UP = Family("gauge", "skerry_site_up", "1 while the site is heard in time.", "site", _SITE)
SITE_SETTLED = Family("gauge", "skerry_site_settled", "1 while the site is as its document says.", "site", _SITE)
SITE_CONDITION = Family(
    "gauge", "skerry_site_condition", "A condition that the site reports.", "site", ("site", "condition")
)
SITE_REFUSES = Family("gauge", "skerry_site_refuses", "1 while the site refuses its newest document.", "site", _SITE)
SAMPLE_AGE = Family("gauge", "skerry_site_sample_age_seconds", "Age of the newest sample.", "site", _SITE)
HOST_CPUS = Family("gauge", "skerry_host_cpus", "Processors.", "site", _SITE)
HOST_CPU = Family("counter", "skerry_host_cpu_seconds", "Processor time since the boot.", "site", _SITE)
HOST_LOAD = Family("gauge", "skerry_host_load1", "Run queue over a minute.", "site", _SITE)
HOST_MEMORY = Family("gauge", "skerry_host_memory_bytes", "Memory there is.", "site", _SITE)
HOST_MEMORY_USED = Family("gauge", "skerry_host_memory_used_bytes", "Memory in use.", "site", _SITE)
HOST_DISK = Family("gauge", "skerry_host_disk_bytes", "Size of the disk of images and volumes.", "site", _SITE)
HOST_DISK_USED = Family("gauge", "skerry_host_disk_used_bytes", "Disk in use.", "site", _SITE)
HOST_FILES = Family("gauge", "skerry_host_disk_files", "Files (inodes) that this disk can have.", "site", _SITE)
HOST_FILES_USED = Family("gauge", "skerry_host_disk_files_used", "Files (inodes) that it has.", "site", _SITE)
HOST_TEMPERATURE = Family(
    "gauge", "skerry_host_temperature_celsius", "Hottest sensor, where there is one.", "site", _SITE
)
HOST_CLOCK = Family(
    "gauge",
    "skerry_host_clock_offset_seconds",
    "By how much the site's clock is before the core's; a sample that waited in a queue takes from it.",
    "site",
    _SITE,
)

# --- links -----------------------------------------------------------------------------------------------------------

LINK_BYTES = Family(
    "counter",
    "skerry_link_bytes",
    "Bytes of the site's link by purpose, after compression, without TLS and TCP.",
    "operator",
    ("site", "purpose", "direction"),
)
LINK_SESSIONS = Family("counter", "skerry_link_sessions", "Connections that the site has begun.", "site", _SITE)
LINK_ROUND_TRIP = Family(
    "gauge", "skerry_link_round_trip_seconds", "Round trip of the last answered heartbeat.", "site", _SITE
)
OUTBOX_EVENTS = Family("gauge", "skerry_outbox_events", "Events that wait at the site for the core.", "site", _SITE)
OUTBOX_BYTES = Family("gauge", "skerry_outbox_bytes", "Bytes of those events.", "site", _SITE)
OUTBOX_DROPPED = Family(
    "counter", "skerry_outbox_dropped_events", "Events that the limit of the site's outbox has cost.", "site", _SITE
)

# --- instances and volumes -------------------------------------------------------------------------------------------

READY = Family(
    "gauge", "skerry_instance_ready", "1 while it is as wished: ready, done, or held with its app.", "tenant", _INSTANCE
)
RESTARTS = Family("counter", "skerry_instance_restarts", "Restarts, as the site counts them.", "tenant", _INSTANCE)
INSTANCE_CPU = Family("counter", "skerry_instance_cpu_seconds", "Processor time.", "tenant", _INSTANCE)
INSTANCE_MEMORY = Family("gauge", "skerry_instance_memory_bytes", "Memory in use.", "tenant", _INSTANCE)
RECEIVED = Family(
    "counter", "skerry_instance_network_received_bytes", "Bytes received over its networks.", "tenant", _INSTANCE
)
SENT = Family("counter", "skerry_instance_network_sent_bytes", "Bytes sent over its networks.", "tenant", _INSTANCE)
READ = Family("counter", "skerry_instance_disk_read_bytes", "Bytes read from block devices.", "tenant", _INSTANCE)
WRITTEN = Family(
    "counter", "skerry_instance_disk_written_bytes", "Bytes written to block devices.", "tenant", _INSTANCE
)
VOLUME = Family(
    "gauge",
    "skerry_volume_disk_bytes",
    "Disk that a volume's data takes, measured each quarter of an hour, sooner when the disk loses room at once.",
    "tenant",
    ("site", "tenant", "app", "volume"),
)

# --- service chains --------------------------------------------------------------------------------------------------

_CHAIN = ("site", "node", "tenant", "app", "chain")
CHAIN_PASSES = Family(
    "gauge", "skerry_chain_passes", "1 while its traffic passes: through all steps, or around one.", "tenant", _CHAIN
)
CHAIN_LATE = Family("gauge", "skerry_chain_late", "1 while it takes longer than its owner allows.", "tenant", _CHAIN)
CHAIN_LATENCY = Family(
    "gauge",
    "skerry_chain_latency_seconds",
    "Time of test packets through a step, or all without one; told in steps of 1, 2 and 5.",
    "tenant",
    (*_CHAIN, "step"),
)
CHAIN_PACKETS = Family(
    "counter",
    "skerry_chain_packets",
    "Packets given to a step, test packets among them; begins anew when the node's chains change.",
    "tenant",
    ("site", "tenant", "app", "chain", "step", "way"),
)

# --- entrances -------------------------------------------------------------------------------------------------------

_DOOR = ("site", "tenant", "app", "service", "port", "kind")
DOOR_ANSWERS = Family(
    "counter",
    "skerry_entrance_answers",
    "Answers that people got over a site's entrance by class of code, 502 to 504 of the entrance itself among them.",
    "tenant",
    (*_DOOR, "code"),
)
DOOR_CONNECTIONS = Family(
    "counter", "skerry_entrance_connections", "Connections or requests that were led to it.", "tenant", _DOOR
)
DOOR_OPEN = Family("gauge", "skerry_entrance_open", "Connections or requests that are with it now.", "tenant", _DOOR)
DOOR_RECEIVED = Family("counter", "skerry_entrance_received_bytes", "Bytes from people.", "tenant", _DOOR)
DOOR_SENT = Family("counter", "skerry_entrance_sent_bytes", "Bytes to people.", "tenant", _DOOR)
DOOR_TIME = Family(
    "gauge",
    "skerry_entrance_answer_seconds",
    "Mean time until a copy answered, of the last 1,024 requests; in milliseconds, 0 for TCP.",
    "tenant",
    _DOOR,
)

#: All of them, in the order of this file.
FAMILIES: tuple[Family, ...] = tuple(each for each in list(vars().values()) if isinstance(each, Family))
