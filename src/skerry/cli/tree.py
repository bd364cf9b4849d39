"""Every command name, declared once (interfaces.md §1.2): its line of help, and where it is built, if it is.

A command without a place is refused as not built yet. ``--help`` and completion read this file and import nothing else,
which is why it holds texts and no functions.
"""

from typing import NamedTuple


class Verb(NamedTuple):
    """One command; ``place`` is ``module:attribute``, empty while it is not built."""

    name: str
    line: str
    place: str = ""

    @property
    def built(self) -> bool:
        """Whether it can be used."""
        return bool(self.place)


class Noun(NamedTuple):
    """A noun with its verbs."""

    name: str
    line: str
    verbs: tuple[Verb, ...]

    @property
    def built(self) -> bool:
        """Whether any verb of it can be used."""
        return any(verb.built for verb in self.verbs)


#: Second names of verbs, within every noun.
ALIASES = {"ls": "list", "rm": "remove", "get": "show", "describe": "show"}


_LATER = "Not built yet."


def _later(*names: str) -> tuple[Verb, ...]:
    return tuple(Verb(name, _LATER) for name in names)


# One command in a line: read as a table.
# fmt: off
EVERYDAY: tuple[Verb, ...] = (
    Verb("up", "Start a core, a signer and local sites, here and now.", "skerry.cli.local:up"),
    Verb("down", "Stop what `up` has started.", "skerry.cli.local:down"),
    Verb("init", "Write a small manifest, or add x-skerry to a Compose file.", "skerry.cli.init:init"),
    Verb("validate", "Check a manifest and report its fields; needs no core.", "skerry.cli.apply:validate"),
    Verb("plan", "Say what applying a manifest would do, with placement and reasons.", "skerry.cli.apply:plan"),
    Verb("diff", "Show how a manifest differs from what is applied.", "skerry.cli.apply:diff"),
    Verb("apply", "Make it so.", "skerry.cli.apply:apply"),
    Verb("delete", "End an app, with a count of what goes.", "skerry.cli.delete:delete"),
    Verb("status", "One screen: core, sites by state, apps not as wanted.", "skerry.cli.status:status"),
    Verb("doctor", _LATER),
    Verb("why", "Say why an app is placed where it is, or not.", "skerry.cli.status:why"),
    Verb("explain", "Say what a word, a field or an error code means; offline.", "skerry.cli.explain:explain"),
    Verb("schema", "Print the JSON Schema of manifests, for an editor; offline.", "skerry.cli.explain:schema"),
    Verb("logs", "Show the output of an app's instances.", "skerry.cli.streams:logs"),
    Verb("events", "Show what happened.", "skerry.cli.streams:events"),
    Verb("exec", "Run a command in an instance.", "skerry.cli.exec:exec_command"),
    Verb("forward", "Lead a port of this machine to a port of an instance.", "skerry.cli.forward:forward"),
    Verb("top", "Show what sites and instances use, until interrupted.", "skerry.cli.top:top"),
    Verb("wait", "Wait until an app or site is as wanted.", "skerry.cli.wait:wait"),
    Verb("verify", _LATER),
    Verb("approve", _LATER),
    Verb("completion", "Print a completion script for a shell.", "skerry.cli.shell:completion"),
    Verb("help", "Explain an error code or a command.", "skerry.cli.shell:help_topic"),
    Verb("man", "Show the page of skerry, or of a noun, as man shows it.", "skerry.cli.man:man"),
    Verb("export", "Write images and sites' documents to a stick, for a box that no link reaches.",
         "skerry.cli.bundles:export"),
    Verb("version", "Show the release of this program and of the core.", "skerry.cli.shell:version"),
)

NOUNS: tuple[Noun, ...] = (
    Noun("site", "Places where apps run.", (
        Verb("add", "Make a site and print the one line to paste on its box.", "skerry.cli.sites:add"),
        Verb("join-token", "Mint another join token for a site, list them, or end one.", "skerry.cli.sites:join_token"),
        Verb("list", "List sites with their state.", "skerry.cli.sites:list_sites"),
        Verb("show", "Show a site: facts, conditions, events, link.", "skerry.cli.sites:show"),
        Verb("label", "Set or remove labels of a site: KEY=VALUE, KEY-.", "skerry.cli.sites:label"),
        Verb("relay", "Let a site pass on datagrams between two others.", "skerry.cli.relays:relay"),
        Verb("remove", "Forget a site; what runs there goes on.", "skerry.cli.sites:remove"),
        Verb("cordon", "Place nothing new at a site; what runs there stays.", "skerry.cli.cordons:cordon"),
        Verb("uncordon", "Place instances at a site again.", "skerry.cli.cordons:uncordon"),
        Verb("drain", "Move away what may move, and say what stays and why.", "skerry.cli.cordons:drain"),
        *_later("approve", "reject", "voucher", "upgrade", "quarantine", "release"),
    )),
    Noun("uplink", "Ways by which a site reaches the rest of the world.", (
        Verb("list", "List a site's uplinks.", "skerry.cli.uplinks:list_uplinks"),
        Verb("use", "Show what went over a site's uplinks this month, and for what.", "skerry.cli.uplinks:show_use"),
        Verb("set", "Sign an uplink into a site's record.", "skerry.cli.uplinks:set_uplink"),
        Verb("remove", "Take an uplink out of a site's record.", "skerry.cli.uplinks:remove"),
    )),
    Noun("node", "Machines of sites.", (
        Verb("list", "List the machines of sites, as they report themselves.", "skerry.cli.nodes:list_nodes"),
        Verb("show", "Show a machine: what it has, what it said last, what runs on it.", "skerry.cli.nodes:show"),
        Verb("cordon", "Place nothing new on a machine; what runs there stays.", "skerry.cli.node_cordons:cordon"),
        Verb("uncordon", "Place instances on a machine again.", "skerry.cli.node_cordons:uncordon"),
        Verb("drain", "Move away what may move, and say what stays and why.", "skerry.cli.node_cordons:drain"),
        Verb("remove", "Take a machine out of its site's record.", "skerry.cli.node_cordons:remove"),
        *_later("rekey"),
    )),
    Noun("app", "What tenants run.", (
        Verb("list", "List apps.", "skerry.cli.apps:list_apps"),
        Verb("show", "Show an app, its instances and what is wrong.", "skerry.cli.apps:show"),
        Verb("history", "List an app's revisions, newest first.", "skerry.cli.apps:history"),
        Verb("rollback", "Sign an old revision again, as a higher one.", "skerry.cli.apps:rollback"),
        Verb("pause", "Stop an app's instances and keep everything.", "skerry.cli.apps:pause"),
        Verb("resume", "Let a paused app run again.", "skerry.cli.apps:resume"),
        Verb("restart", "Start an app's instances afresh.", "skerry.cli.apps:restart"),
        Verb("scale", "Sign the newest revision again with another number of copies.", "skerry.cli.scale:scale"),
        *_later("move"),
    )),
    Noun("instance", "Copies of services.", (
        Verb("list", "List instances: what is wanted beside what is.", "skerry.cli.instances:list_instances"),
        Verb("show", "Show one: where and why there, image, health, use, events.",
             "skerry.cli.instances:show_instance"),
        Verb("restart", "End one and start it again.", "skerry.cli.control:restart"),
        Verb("stop", "Stop one at a site, until it is started again.", "skerry.cli.control:stop"),
        Verb("start", "Let one run again that was stopped.", "skerry.cli.control:start"),
    )),
    Noun("rollout", "Changes in waves.", (
        Verb("list", "List the newest rollout of each app.", "skerry.cli.rollouts:list_rollouts"),
        Verb("show", "Show how far an app's newest rollout has come, site by site.", "skerry.cli.rollouts:show"),
        Verb("promote", "Let a rollout go on past its bake, an approval, or what stopped it.",
             "skerry.cli.rollouts:promote"),
        Verb("pause", "Let no further site have the revision; those that have it keep it.",
             "skerry.cli.rollouts:pause"),
        Verb("abort", "End a rollout; sites that have the revision go back where its owner allows it.",
             "skerry.cli.rollouts:abort"),
    )),
    Noun("image", "What services run from.", (
        Verb("list", "List images that the core has.", "skerry.cli.images:list_images"),
        Verb("push", "Send an image from an OCI layout or archive.", "skerry.cli.images:push"),
        Verb("import", "Fetch an image from a registry and send it to the core.", "skerry.cli.images:import_image"),
        Verb("show", "Show an image, and where it is used or seeded.", "skerry.cli.seeds:show"),
        Verb("seed", "Have images at sites ahead of need, for some time.", "skerry.cli.seeds:seed"),
        Verb("prune", "Remove images from the core that nothing needs.", "skerry.cli.images:prune"),
        *_later("pull"),
    )),
    Noun("vm", "Virtual machines.", _later(
        "list", "show", "start", "stop", "suspend", "resume", "console", "vnc", "snapshot")),
    Noun("secret", "Sealed values.", (
        Verb("list", "List sealed secrets, without their values.", "skerry.cli.secrets:list_secrets"),
        Verb("show", "Show for whom a secret is sealed, without its value.", "skerry.cli.secrets:show"),
        Verb("set", "Seal a value for the sites that may use it.", "skerry.cli.secrets:set_secret"),
        Verb("remove", "Forget a secret that no app uses.", "skerry.cli.secrets:remove"),
    )),
    Noun("area", "Ground that manifests name; apply makes it.", (
        Verb("list", "List areas.", "skerry.cli.definitions:list_areas"),
        Verb("show", "Show the ground of an area.", "skerry.cli.definitions:show_area"),
        Verb("remove", "Forget an area; apps stay where they are.", "skerry.cli.definitions:remove_area"),
    )),
    Noun("user-group", "Where users are, for round trips; apply makes it.", (
        Verb("list", "List groups of users.", "skerry.cli.definitions:list_user_groups"),
        Verb("show", "Show where the users of a group are.", "skerry.cli.definitions:show_user_group"),
        Verb("remove", "Forget a group of users; apps stay where they are.",
             "skerry.cli.definitions:remove_user_group"),
    )),
    Noun("key", "Signing keys, as the signer holds them.", (
        Verb("list", "List the keys that the signer holds.", "skerry.cli.keys:list_keys"),
        Verb("show", "Show the public half of a key and what it signs.", "skerry.cli.keys:show"),
        Verb("backup", "Write all keys to one file that a passphrase opens.", "skerry.cli.keys:backup"),
        Verb("recover", "Give a new signer the keys of a backup.", "skerry.cli.keys:recover"),
        *_later("create", "delegate", "rotate", "revoke", "move"),
    )),
    Noun("ci", "Keys of pipelines.", _later("key")),
    Noun("root", "The operator's root document.", _later("show", "rotate", "threshold")),
    Noun("signer", "The process that holds keys.", _later("status", "move")),
    Noun("token", "API tokens.", (
        Verb("list", "List the tenant's API tokens.", "skerry.cli.access:list_tokens"),
        Verb("create", "Make an API token; it is shown once.", "skerry.cli.access:create"),
        Verb("show", "Show an API token, without its secret.", "skerry.cli.access:show_token"),
        Verb("revoke", "End an API token at once.", "skerry.cli.access:revoke"),
    )),
    Noun("profile", "What apps may ask of sites.", (
        Verb("list", "List profiles: built-in ones and operators' own.", "skerry.cli.profiles:list_profiles"),
        Verb("show", "Show all that a profile grants; a built-in one needs no core.", "skerry.cli.profiles:show"),
        Verb("set", "Sign a profile into the records of sites, as its file says.", "skerry.cli.profiles:set_profile"),
        Verb("remove", "Take a profile from every site; what runs under it goes on.", "skerry.cli.profiles:remove"),
    )),
    Noun("audit", "Who did what.", (
        Verb("list", "List the audit chain, oldest first.", "skerry.cli.access:list_audit"),
        Verb("verify", "Check that an audit chain is whole; with -f needs no core.", "skerry.cli.audit:verify"),
    )),
    Noun("tenant", "Owners of apps.", (
        Verb("list", "List tenants.", "skerry.cli.tenants:list_tenants"),
        Verb("show", "Show a tenant and the sites that admit it.", "skerry.cli.tenants:show"),
        Verb("create", "Make a tenant, its deploy key and its first token.", "skerry.cli.tenants:create"),
    )),
    Noun("user", "People who hold API tokens.", (
        Verb("list", "List the tenant's people, or the operator's own.", "skerry.cli.users:list_users"),
        Verb("show", "Show a person and their tokens.", "skerry.cli.users:show_user"),
        Verb("create", "Note a person and make a first token; it is shown once.", "skerry.cli.users:create"),
        Verb("remove", "Forget a person and end all their tokens.", "skerry.cli.users:remove"),
    )),
    Noun("role", "What people may do.", (
        Verb("list", "List roles and what each may do.", "skerry.cli.users:list_roles"),
        Verb("show", "Show every operation that a role may use.", "skerry.cli.users:show_role"),
        *_later("create"),
    )),
    Noun("operation", "Long work.", (
        Verb("list", "List long work, newest first.", "skerry.cli.instances:list_operations"),
        Verb("show", "Show how far long work has come.", "skerry.cli.instances:show_operation"),
        *_later("cancel"),
    )),
    Noun("core", "The shared control plane.", (
        Verb("install", "Give the core that systemd runs here its keys, first tenant and context.",
             "skerry.cli.founding:install"),
        Verb("doctor", "Check what this machine's core needs.", "skerry.cli.core:doctor"),
        Verb("backup", "Write database and delivery key to one file.", "skerry.cli.core:backup"),
        Verb("restore", "Put a backup in the place of the core's database.", "skerry.cli.core:restore"),
        Verb("migrate", "Copy the core whole into another database.", "skerry.cli.core:migrate"),
        Verb("status", "Show what this context's core is and how it does.", "skerry.cli.core_status:status"),
    )),
    Noun("agent", "The agent of this box, over its own socket; needs no core.", (
        Verb("join", "Join this box to a site with a join token.", "skerry.cli.agent:join"),
        Verb("status", "Show how this site is, by its own agent.", "skerry.cli.agent:status"),
        Verb("doctor", "Check what this site needs.", "skerry.cli.agent:doctor"),
        Verb("logs", "Show this site's own events.", "skerry.cli.agent:logs"),
        Verb("restart", "Restart what runs here.", "skerry.cli.agent:restart"),
        Verb("stop", "Stop what runs here, until it is started here.", "skerry.cli.agent:stop"),
        Verb("start", "Start what was stopped here.", "skerry.cli.agent:start"),
        Verb("accept-loss", "Start services anew whose volume is gone.", "skerry.cli.agent:accept_loss"),
        Verb("rekey", "Change the key of this box's tunnels.", "skerry.cli.agent:rekey"),
        Verb("apply-bundle", "Take images and a document from a stick.", "skerry.cli.agent_bundles:apply_bundle"),
        *_later("reset"),
    )),
    Noun("machine", "Bare metal.", _later("list", "show", "power", "console", "install", "inventory")),
    Noun("network", "Networks of apps, at each site and over several.", (
        Verb("list", "List the networks of apps.", "skerry.cli.networks:list_networks"),
        Verb("show", "Show a network, and its part at each site.", "skerry.cli.networks:show"),
        Verb("trace", "Follow packets from one end to another, and say why they stop.", "skerry.cli.networks:trace"),
        *_later("create", "remove"),
    )),
    Noun("chain", "Ordered paths through services.", (
        Verb("list", "List the service chains of apps.", "skerry.cli.chains:list_chains"),
        Verb("show", "Show a chain, and who has its traffic at each node.", "skerry.cli.chains:show"),
        Verb("test", "Send test packets through a chain at a site.", "skerry.cli.chains:run_test"),
    )),
    Noun("volume", "Durable storage of services.", (
        Verb("list", "List volumes, as their sites report them.", "skerry.cli.volumes:list_volumes"),
        Verb("show", "Show a volume at each of its sites.", "skerry.cli.volumes:show"),
        Verb("remove", "Delete a volume by a signed tombstone.", "skerry.cli.volumes:remove"),
        Verb("snapshot", "Keep what a volume holds now.", "skerry.cli.volumes:snapshot"),
        Verb("restore", "Set a volume back to a snapshot.", "skerry.cli.volumes:restore"),
        Verb("drop-snapshot", "Let a snapshot go.", "skerry.cli.volumes:drop_snapshot"),
        *_later("copy", "move", "backup"),
    )),
    Noun("lease", "Rights to be the only one.", _later("list", "show", "release")),
    Noun("alert", "What calls for a person.", _later("list", "ack", "silence")),
    Noun("policy", "What is done unasked.", _later("list", "show", "test")),
    Noun("import", "Manifests from elsewhere.", _later("compose", "quadlet", "margo", "helm")),
    Noun("flow", "Data going outwards.", _later("list", "show")),
    Noun("partner", "Other cores.", _later("list", "show", "invite", "accept", "end")),
    Noun("context", "Which core to talk to, and as whom.", (
        Verb("list", "List contexts.", "skerry.cli.contexts:list_contexts"),
        Verb("show", "Show a context, without its token.", "skerry.cli.contexts:show"),
        Verb("use", "Choose the context that is used from now on.", "skerry.cli.contexts:use"),
        Verb("set", "Make or change a context; its token is asked for.", "skerry.cli.contexts:set_context"),
        Verb("remove", "Forget a context.", "skerry.cli.contexts:remove"),
    )),
)
# fmt: on

#: Nouns and their verbs; commands without verbs have none.
COMMANDS: dict[str, frozenset[str]] = {
    member.name: frozenset(verb.name for verb in member.verbs) if isinstance(member, Noun) else frozenset[str]()
    for member in (*EVERYDAY, *NOUNS)
}
