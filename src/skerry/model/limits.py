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

#: Units of one document: 100 apps of 20 services with images, secrets and volumes.
DOCUMENT_UNITS_MAX = 10_000
#: Bytes of one unit body.
UNIT_BYTES_MAX = 64 * 1024
#: Envelopes (revisions, secrets, tombstones) that one message may carry; the rest is asked for again.
OBJECTS_PER_MESSAGE_MAX = 64
#: Events in one batch: one returning site delays others by at most one batch (link.md §3).
EVENTS_PER_BATCH_MAX = 500
#: Events kept at a site while cut off, beyond which the oldest of class "event" are dropped and counted:
#: 30 days of a busy site, about 20 MB.
OUTBOX_EVENTS_MAX = 50_000
#: Fact resources of one site: instances, volumes, images and nodes.
FACTS_MAX = 20_000
#: Sessions of exec and logs open at one site at once.
STREAMS_PER_SITE_MAX = 64
#: Bytes a stream may be ahead of its reader.
STREAM_WINDOW_BYTES = 256 * 1024

#: Ordinal of an instance; also replicas per site.
REPLICAS_MAX = 1_000
#: Services of an app (manifest.md §4).
SERVICES_MAX = 100
#: One environment value, command word or inlined config.
SCALAR_BYTES_MAX = 256 * 1024
#: Relative file binds and env files read at apply, in all (manifest.md §4).
INLINE_BYTES_MAX = 1024 * 1024
#: Selector text (manifest.md §4).
SELECTOR_CHARACTERS_MAX = 1_024

#: A crash-looping planner unit or driver call is quarantined by digest after so many tries (faults.md R6).
CRASHES_BEFORE_QUARANTINE = 3
#: Restart back-off of an instance: first wait, cap, and the running time after which the count starts again.
RESTART_DELAY_US_MIN = 500_000
RESTART_DELAY_US_MAX = 300_000_000
RESTART_RESET_US = 600_000_000
