"""Every limit on outside input, with its unit in the name and its reason beside it."""

#: Largest signed payload: a hundred services with long environments fit ten times (trust.md §4).
PAYLOAD_BYTES_MAX = 1024 * 1024
#: Nesting a parser accepts in a payload; our deepest struct has 9 levels.
PAYLOAD_DEPTH_MAX = 32
#: Keys in one payload; a hundred services with fifty variables each use half.
PAYLOAD_KEYS_MAX = 10_000
#: Signatures on one envelope: thresholds beyond 5 of 8 are not foreseen.
SIGNATURES_MAX = 8
#: Integers that JSON readers of every language read alike.
INTEGER_MAX = 2**53 - 1
#: Bytes of the largest packet of a network: what every host takes (RFC 791), and what fits into its length's 16 bits.
MTU_MIN = 576
MTU_MAX = 65_535
#: The least that IPv6 takes (RFC 8200 section 5): below it a kernel gives a device none.
MTU_MIN_V6 = 1_280
#: How far above its floor a number may be, so that a stolen key cannot burn the whole number line (trust.md T5).
NUMBER_WINDOW = 2**20

#: Bytes of one link frame before the child has proved itself: a Hello is under 2 KiB, a join request under 4 KiB.
FRAME_BYTES_UNPROVEN_MAX = 16 * 1024
#: Bytes of one link frame afterwards: one unit or one envelope always fits, and a frame is held in memory whole.
FRAME_BYTES_MAX = 4 * 1024 * 1024
#: Bytes of one bulk chunk: small enough that a heartbeat waits under 10 s behind it at 64 kbit/s (faults.md N9).
BULK_CHUNK_BYTES = 64 * 1024
#: Chunks on their way without acknowledgement: fills 600 ms of round trip at 20 Mbit/s.
BULK_WINDOW_CHUNKS = 24

#: Instances in one sample of use: more than the containers of any edge machine we know of; 12 kB on the wire.
SAMPLE_INSTANCES_MAX = 200
#: Networks in one sample, the first by name: as many as a site of fifty apps has; 5 kB on the wire while all are busy.
SAMPLE_NETWORKS_MAX = 64
#: Other sites in one sample: each member of a network up to ``FULL_MESH_SITES``.
SAMPLE_PEERS_MAX = 64
#: Purposes of bytes over one uplink.
SAMPLE_PURPOSES_MAX = 16
#: Volumes in one sample, for the same machines.
SAMPLE_VOLUMES_MAX = 200
#: Chains in one sample, 100 bytes each: those of three apps that have as many as they may.
SAMPLE_CHAINS_MAX = 100
#: Services with an entrance in one sample, each with each of its ports, 100 bytes each.
SAMPLE_DOORS_MAX = 100
#: Files and folders that one turn of measuring volumes looks at: a second or two of a slow card, then it pauses.
MEASURED_ENTRIES_MAX = 20_000
#: Sites whose series one answer of /metrics may hold; a larger fleet is scraped site by site (interfaces.md §5).
METRICS_SITES_MAX = 1_000
#: Plans and manifests that wait for the core's thread beside its loop: each takes up to a second at 10,000 sites.
BESIDE_JOBS_MAX = 30
#: How long a site goes on sampling quicker before it has to be asked again; whoever watches asks again by itself.
SAMPLES_QUICK_US_MAX = 600_000_000
#: Series of use that a core remembers, an hour and a day, 5 kB each: 200 MB; what comes later has newest values only.
USE_SERIES_MAX = 40_000

#: A message longer than this goes in parts, so that a heartbeat waits at most 4 s behind one at 64 kbit/s.
FRAME_PART_BYTES = 32 * 1024
#: Bytes waiting to be sent in one lane of a connection before its producers wait; a message more always fits.
LANE_BYTES_MAX = 256 * 1024
#: Bytes waiting in one lane beyond which the connection is closed: only a peer that asks and never reads gets there.
LANE_BYTES_BROKEN = 16 * 1024 * 1024
#: First and smallest bulk chunk: 2 s at 64 kbit/s, so that the slowest link still carries heartbeats between two.
BULK_CHUNK_BYTES_MIN = 16 * 1024
#: Blobs on their way to one site at once: enough that a small one need not wait for a big one.
BULK_STREAMS_MAX = 2

#: Units of one document: 100 apps of 20 services with images, secrets and volumes.
DOCUMENT_UNITS_MAX = 10_000
#: Bytes of one unit body.
UNIT_BYTES_MAX = 64 * 1024
#: Envelopes (revisions, secrets, tombstones) that one message may carry; the rest is asked for again.
OBJECTS_PER_MESSAGE_MAX = 64
#: Events in one batch: one returning site delays others by at most one batch (link.md §3).
EVENTS_PER_BATCH_MAX = 500
#: Encoded bytes of one batch of events: 8 s at 64 kbit/s before compression, and what a cut can cost.
EVENT_BATCH_BYTES = 64 * 1024
#: Encoded bytes of one event; a longer one is cut, so that it cannot block those behind it.
EVENT_BYTES_MAX = 32 * 1024
#: Encoded bytes of facts in one patch: a thousand instances; more follow in the next patch.
FACTS_PATCH_BYTES = 1024 * 1024
#: Bytes of signed objects that a site gathers for one document before it applies it or gives up.
OBJECT_BYTES_GATHERED_MAX = 64 * 1024 * 1024
#: Bytes of a document with all of its objects that is carried by hand: a box reads it whole, and has memory for this.
CARRIED_BYTES_MAX = 16 * 1024 * 1024
#: Events kept at a site while cut off, beyond which the oldest of class "event" are dropped and counted:
#: 30 days of a busy site, about 20 MB.
OUTBOX_EVENTS_MAX = 50_000
#: Fact resources of one site: instances, volumes, images and nodes.
FACTS_MAX = 20_000
#: Sessions of exec and logs open at one site at once.
STREAMS_PER_SITE_MAX = 64
#: Bytes a stream may be ahead of its reader.
STREAM_WINDOW_BYTES = 256 * 1024
#: Columns or rows of a terminal: a wall of screens with a small font stays below it, and it fits 16 bits.
WINDOW_SIDE_MAX = 4_096
#: Bytes of one message of a stream: two calls side by side take turns.
STREAM_CHUNK_BYTES = 16 * 1024

#: Windows of one rollout: each day of a week four times over; every plan of a site looks at each.
WINDOWS_MAX = 28

#: Streams of events and changes that one token may have open: ten tabs of a browser with three each.
STREAMS_PER_TOKEN_MAX = 32
#: The same in all: each reads the store by itself after every event, and holds a connection and some 100 kB.
STREAMS_MAX = 1_000
#: Time that a reader of such a stream may take for one item before it is told to come back, and before it is cut off.
#: What waits meanwhile is one page of events, and the 64 KiB that its connection buffers.
READER_SLOW_US_MAX = 30_000_000
READER_STALL_US_MAX = 60_000_000

#: Ordinal of an instance; also replicas per site.
REPLICAS_MAX = 1_000
#: Services of an app (manifest.md §4).
SERVICES_MAX = 100
#: Chains of an app, steps of one, and ranges of one sort in its match: each is rules that packets are held against.
CHAINS_MAX = 32
CHAIN_STEPS_MAX = 16
CHAIN_RANGES_MAX = 32
#: Longest bound on the latency of a chain: a packet that takes a minute has been given up by all who speak TCP.
CHAIN_LATENCY_US_MAX = 60_000_000
#: One environment value, command word or inlined config.
SCALAR_BYTES_MAX = 256 * 1024
#: Relative file binds and env files read at apply, in all (manifest.md §4).
INLINE_BYTES_MAX = 1024 * 1024
#: Corners of all polygons of an app (manifest.md §4): each site is held against every one.
POLYGON_CORNERS_MAX = 2_000
#: How deep a region may leave out what another one leaves out; more says nothing that a person could follow.
REGION_DEPTH_MAX = 8
#: Points of a group of users: a plan with a new copy holds each of 10,000 candidate sites against each, in a second.
USER_POINTS_MAX = 100
#: Weight of one of them: people of a large town, one by one.
USER_WEIGHT_MAX = 100_000_000
#: Further placement words of a service, names in lists counted: each is asked of every candidate of every copy.
PLACEMENT_WORDS_MAX = 200
#: Images that a tenant may want at sites ahead of need: each is a unit in the document of every site that it means.
SEEDS_MAX = 100
#: Characters of who had an instance stopped, and why: one line for people.
CALL_BY_CHARACTERS_MAX = 63
CALL_REASON_CHARACTERS_MAX = 200
#: Selector text (manifest.md §4).
SELECTOR_CHARACTERS_MAX = 1_024

#: Bytes of one file of a manifest: the longest known Compose file has 60 KiB (manifest.md §4).
MANIFEST_FILE_BYTES_MAX = 1024 * 1024
#: Bytes of all files of a manifest, and of all its text after aliases and variables were put in.
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
#: Documents in one YAML stream: a tenant's apps and kinds in one file.
MANIFEST_DOCUMENTS_MAX = 100
#: Nesting of a manifest: Compose's own deepest field lies 9 levels down.
MANIFEST_DEPTH_MAX = 32
#: Nodes of a manifest with aliases and merge keys counted as often as they are used.
MANIFEST_NODES_MAX = 20_000
#: Alias references in one file: a hundred services with two shared blocks each.
MANIFEST_ALIASES_MAX = 200
#: Values made by laying files and extended services over each other: five times what one file may hold.
MANIFEST_MERGED_MAX = 100_000
#: Files that one manifest may be made of, included and extended ones counted: the largest known project has 30.
MANIFEST_FILES_MAX = 64
#: Services that extend each other, and files that include each other, one inside the other.
MANIFEST_CHAIN_MAX = 16
#: Files of folders that are taken into a manifest: each is a key of the signed form.
FOLDER_FILES_MAX = 500
#: Bytes of one mapping key.
MANIFEST_KEY_BYTES_MAX = 256
#: Variables resolved in one manifest: ten for each of a hundred services.
VARIABLES_MAX = 1_000
#: Problems printed before the rest is only counted: nobody reads more.
PROBLEMS_PRINTED_MAX = 100
#: Ports that one range of a manifest may stand for; each is a rule at the node.
PORT_RANGE_MAX = 1_000

#: Ports of a node of which the site chooses one where a manifest names none: below what kernels give to outgoing
#: connections (32,768 and above), above what programs listen at by custom.
HOST_PORT_FIRST = 20_000
HOST_PORT_LAST = 29_999

#: A crash-looping planner unit or driver call is quarantined by digest after so many tries (faults.md R6).
CRASHES_BEFORE_QUARANTINE = 3
#: Restart back-off of an instance: first wait, cap, and the running time after which the count starts again.
RESTART_DELAY_US_MIN = 500_000
RESTART_DELAY_US_MAX = 300_000_000
RESTART_RESET_US = 600_000_000
#: Shortest time between two health checks of an instance: each is a process of its own and a look at the node.
HEALTH_INTERVAL_US_MIN = 1_000_000

#: Bytes of an HTTP head on the link port, request or response: an upgrade has 300, a proxy's answer seldom 2,000.
LINK_HEAD_BYTES_MAX = 16 * 1024
#: Received bytes a connection holds before it stops reading: one bulk window's worth of patience per child.
LINK_INBOX_BYTES_MAX = 256 * 1024
#: Written bytes the network has not taken before senders wait: two parts, 8 s at 64 kbit/s.
LINK_UNSENT_BYTES_MAX = 64 * 1024
#: Bytes of the answer to ``GET /v1/roots``: 200 root documents of 5 KiB, read from a peer that nobody vouches for.
ROOTS_BYTES_MAX = 1024 * 1024
#: Addresses of one name that a dialer tries: both families of a core with a few front doors.
ADDRESSES_TRIED_MAX = 8
#: Time for a whole dial, from the name to the upgrade: 5 round trips of 2 s with a loss in most (faults.md N10).
LINK_DIAL_US_MAX = 45_000_000
#: Time for one address to answer, so that a dead family does not eat the dial: SYNs at 0, 1, 3 and 7 s.
LINK_CONNECT_US_MAX = 10_000_000
#: Time from accepting a connection to its first whole frame: slow links need 20 s, slow attackers want for ever.
LINK_FIRST_FRAME_US_MAX = 40_000_000
#: Time that written bytes may stay unacknowledged by the peer's TCP, and that a full buffer may stay full.
LINK_STALL_US_MAX = 60_000_000
#: Time to wait for the peer's half of a closing handshake.
LINK_CLOSE_US_MAX = 5_000_000
#: Grants of one sort in a profile, and things of one sort that a service asks of its node: all are read for each
#: instance that is derived under it. A patch panel of serial ports has 48.
GRANTS_MAX = 64
#: Commands after a start, and before a stop, of one service: each holds up the instance's other steps.
HOOKS_MAX = 16
#: Time for one command after a start: preparing a database takes a minute or two, and meanwhile nothing else is done
#: to the instance, not even a stop.
HOOK_US_MAX = 300_000_000
#: Profiles in one site's record: with all their grants they stay below a third of the largest payload.
PROFILES_MAX = 32
#: Devices that a node tells of, of those that its profiles name: a fact travels whole whenever it changes.
DEVICES_TOLD_MAX = 128
#: Connections of one listener: ten times the sites that one small core machine carries.
LINK_CHILDREN_MAX = 20_000
#: Connections that have not proved themselves, in all and per source: 512 half-open ones cost under 300 MB.
LINK_UNPROVEN_MAX = 512
LINK_UNPROVEN_PER_SOURCE_MAX = 128
#: New connections per source: 10,000 sites behind one address return within 5 minutes at 34 a second (link.md §3).
LINK_ARRIVALS_PER_SECOND = 50
LINK_ARRIVALS_BURST = 200
#: Sources remembered for that; the longest unheard is forgotten first.
LINK_SOURCES_MAX = 4_096

#: Bytes of all contents of one archive: twice that does not fit the disk of a small site (trust.md §13).
ARCHIVE_BYTES_MAX = 16 * 1024**3
#: Members of one archive: a full distribution has 100,000 files, a packed image a few dozen blobs.
ARCHIVE_MEMBERS_MAX = 200_000
#: Bytes of one name or link target in an archive, as the Linux kernel has it.
ARCHIVE_NAME_BYTES_MAX = 4096
#: Steps of one path in an archive: what packers and compilers produce stays below 30.
ARCHIVE_DEPTH_MAX = 64
#: Bytes of extended headers in front of one member: two long names and some times.
ARCHIVE_HEADER_BYTES_MAX = 16 * 1024
#: Bytes out per byte in of compressed data: file systems of images reach 20, only bombs go beyond this.
ARCHIVE_RATIO_MAX = 200

#: Sites of one machine that ``skerry up`` starts: each takes 105 MB with agent, podman and ferry and without apps.
LOCAL_SITES_MAX = 16
#: Connections that the ferry of a local site carries at once: a link, its successor, and a few tries to join.
FERRY_CONNECTIONS_MAX = 16
#: Seconds in which a connection of the ferry must stand: the core is on the same machine, but its link may be thin.
FERRY_CONNECT_S_MAX = 10
