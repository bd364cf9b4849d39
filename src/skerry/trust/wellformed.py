"""What the types of a signed payload cannot say: names, numbers, keys and selectors that make sense.

One function over the closed structs. It looks at one payload alone; whether it is current, meant for this site or
allowed by others is asked in ``verify.py`` and ``plan/derive.py``.
"""

import ipaddress
from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from skerry.model.app import Address, AppRevision, Further, Network, Service, Sites, Subnet
from skerry.model.chain import list_chain_flaws
from skerry.model.entrance import find_entrance_flaw
from skerry.model.extras import find_extras_flaw, find_sharing_flaw
from skerry.model.granted import list_further_needs
from skerry.model.grants import GRANTABLE, NodeUse, Profile, find_profile_flaw, find_use_flaw
from skerry.model.ids import NetworkName, is_digest, is_inner_path, is_name, is_page
from skerry.model.lan import find_lan_flaw
from skerry.model.limits import (
    CALL_BY_CHARACTERS_MAX,
    CALL_REASON_CHARACTERS_MAX,
    INTEGER_MAX,
    MTU_MAX,
    MTU_MIN,
    PROFILES_MAX,
    REPLICAS_MAX,
    SERVICES_MAX,
    SIGNATURES_MAX,
    WINDOW_SIDE_MAX,
)
from skerry.model.policy import PRIORITY_MAX, Autonomy, Policy, SecretPolicy, is_rotation, is_variable
from skerry.model.profile import (
    PROFILES,
    STRICT,
    grants_capability,
    grants_mount_option,
    grants_range,
    owns_sysctl,
)
from skerry.model.rollout import DAY_MIN, InSite, TimeWindow
from skerry.model.selector import SelectorError, parse_selector
from skerry.model.signed import (
    Area,
    Call,
    DocumentHead,
    OverlayKey,
    PublicKey,
    RoleKeys,
    Root,
    Secret,
    SiteRecord,
    Tombstone,
    UserGroup,
)
from skerry.model.site_relay import find_relay_flaw
from skerry.model.uplinks import NO_BANDWIDTH, Bandwidth, find_bandwidth_flaw, find_uplinks_flaw
from skerry.model.volume import find_volume_flaw
from skerry.model.withdrawal import is_kept_from_core
from skerry.trust.keys import KEY_BYTES
from skerry.trust.placed import find_area_flaw, find_placement_flaw, find_users_flaw

#: 31 December 9999: beyond it readers of dates differ.
TIME_S_MAX = 253_402_300_799
_P256_BYTES = (33, 65)
PORT_MAX = 65_535
OOM_SCORE_MAX = 1_000


def find_flaw(payload: msgspec.Struct) -> str:
    """Return what is wrong with a payload, empty when nothing is."""
    try:
        _check(payload)
    except _FlawError as flaw:
        return str(flaw)
    return ""


class _FlawError(Exception):
    pass


def _check(payload: msgspec.Struct) -> None:
    match payload:
        case AppRevision():
            _check_revision(payload)
        case Tombstone():
            _check_names(payload.tenant, payload.app, *payload.volumes)
            _check_number(payload.number)
            _check_sites(payload.sites)
            _demand(payload.grace_us >= 0, "a grace time is not negative")
        case Secret():
            _check_names(payload.tenant, payload.name)
            _check_number(payload.number)
        case Area() | UserGroup():
            _check_names(payload.tenant, payload.name)
            _check_number(payload.number)
            flaw = find_area_flaw(payload.region) if isinstance(payload, Area) else find_users_flaw(payload.points)
            _demand(not flaw, flaw)
        case OverlayKey():
            _check_names(payload.site, payload.node)
            _check_number(payload.number)
            if len(payload.key) != KEY_BYTES:
                raise _FlawError(f"a key of {len(payload.key)} bytes, an overlay key has {KEY_BYTES}")
        case Call():
            _check_names(payload.tenant, payload.site, payload.node, payload.app)
            _check_call(payload)
        case SiteRecord():
            _check_record(payload)
        case Root():
            _check_number(payload.number)
            for role in (payload.root, payload.registrar, payload.delivery):
                _check_role(role)
        case DocumentHead():
            _check_names(payload.site)
            _check_number(payload.epoch)
            _check_number(payload.generation)
            _demand(not payload.parent or is_digest(payload.parent), "the parent is no digest")
            _demand(is_digest(payload.units), "the digest of the units is none")
            _demand(0 <= payload.time_s <= TIME_S_MAX, "the time is no time of this calendar")
        case _:
            raise _FlawError("no signed kind")


def _check_revision(revision: AppRevision) -> None:
    _check_names(revision.tenant, revision.app)
    _check_number(revision.number)
    _demand(is_digest(revision.source), "the source is no digest")
    _demand(1 <= len(revision.services) <= SERVICES_MAX, f"an app has 1 to {SERVICES_MAX} services")
    _check_names(*revision.services, *revision.volumes, *revision.networks)
    _check_names(*(use.name for use in revision.secrets.values()))
    for volume in revision.volumes.values():
        flaw = find_volume_flaw(volume)
        _demand(not flaw, flaw)
    for use in revision.secrets.values():
        _check_secret(use.policy or SecretPolicy())
    _demand(is_name(revision.profile), f"no profile is called {revision.profile[:80]!r}")
    for window in (revision.rollout.windows or ()) if revision.rollout else ():
        _check_window(window)
    if revision.rollout and revision.rollout.in_site:
        _check_in_site(revision.rollout.in_site)
    for service in revision.services.values():
        _check_service(service)
        autonomy = service.policy.autonomy if service.policy else Autonomy()
        ends = bool(autonomy.replace_after_us) and autonomy.on_return != "keep-original"
        _demand(not (ends and is_kept_from_core(revision)), "the core cannot end what only the tenant may end")
        for order in (service.in_site, service.in_site_back):
            if order:
                _check_in_site(order)
        _check_walls(revision.profile, service)
        for name, address in (service.further or Further()).addresses.items():
            _check_attachment(revision.networks, name, address)
    flaw = find_sharing_flaw(revision) or find_placement_flaw(revision)
    _demand(not flaw, flaw)
    _check_chains(revision)
    for network in revision.networks.values():
        for subnet in network.plan.subnets if network.plan else ():
            _check_subnet(subnet)
        _check_lan(revision.profile, network)
        if network.words:
            stretched = network.words.kind == "overlay"
            _demand(stretched == network.stretched, "a network over all sites is of kind overlay, and no other is")
            plain = not (network.plan and network.plan.subnets)
            _demand(plain or not stretched, "the addresses of a network over all sites are the fleet's, not the app's")


def _check_lan(profile: str, network: Network) -> None:
    if not (network.plan and network.plan.lan):
        return
    flaw = find_lan_flaw(network.plan.lan)
    _demand(not flaw, flaw)
    _demand(profile not in PROFILES, f"profile {profile} grants no interface of the node")
    _demand(not network.words, "a network of a site is not one over all sites")


def _check_attachment(networks: dict[NetworkName, Network], name: NetworkName, address: Address) -> None:
    """Hold what a service says of one interface against what its network is."""
    network = networks.get(name, Network())
    lan = network.plan.lan if network.plan else UNSET
    flaw = find_bandwidth_flaw(Bandwidth(up_bps=address.up_bps, down_bps=address.down_bps))
    _demand(not flaw, f"bandwidth: {flaw}")
    _demand(not (lan and lan.is_direct and (address.up_bps or address.down_bps)), "a direct interface has no rate")
    _demand(0 <= address.way <= INTEGER_MAX, "the order of ways out has numbers from 0")
    largest = (network.plan.mtu if network.plan else 0) or MTU_MAX
    _demand(not address.mtu or MTU_MIN <= address.mtu <= largest, "packets of a size that its network does not take")


def _check_chains(revision: AppRevision) -> None:
    services = {name: service.networks.keys() for name, service in revision.services.items()}
    shut = {name: network.internal for name, network in revision.networks.items()}
    for flaw in list_chain_flaws(revision.chains or (), services, shut):
        raise _FlawError(flaw.detail)
    of_node = any(end.kind == "interface" for chain in revision.chains or () for end in (chain.start, chain.end))
    _demand(not of_node or revision.profile not in PROFILES, f"profile {revision.profile} grants no device of the node")


def _check_in_site(order: InSite) -> None:
    _demand(order.parallel >= 1, "a change of no copies at once never ends")
    _demand(0 <= order.settle_us <= INTEGER_MAX, "a changed copy is watched for a time that is none")
    _demand(0 <= order.failed_permille <= 1000, "the share of copies that may fail is none")


def _check_call(call: Call) -> None:
    _demand(0 <= call.ordinal < REPLICAS_MAX, "an ordinal is beyond all replicas")
    match call.verb:
        case "exec":
            _demand(bool(call.argv), "a call names a command")
            _demand(call.port == 0, "a command has no port")
            sides = (call.terminal.columns, call.terminal.rows) if call.terminal is not None else ()
            _demand(all(1 <= side <= WINDOW_SIDE_MAX for side in sides), "a terminal has a size that no terminal has")
        case "forward":
            _demand(1 <= call.port <= PORT_MAX, f"a port is 1 to {PORT_MAX}")
            _demand(not call.argv and call.terminal is None, "a connection has no command")
        case "restart" | "stop" | "start":
            plain = not call.argv and call.terminal is None and call.port == 0
            _demand(plain, "a word about an instance itself has neither command nor port")
        case "test-chain":
            plain = not call.argv and call.terminal is None and call.port == 0
            _demand(plain and is_name(call.chain), "a test of a chain names it, and has neither command nor port")
        case "snapshot" | "restore" | "drop-snapshot":
            plain = not call.argv and call.terminal is None and call.port == 0 and not call.service and not call.ordinal
            _demand(plain, "a word about a volume has no service, no command and no port")
            _check_names(call.volume, call.snapshot)
    about_volume = call.verb in ("snapshot", "restore", "drop-snapshot")
    if not about_volume:
        _check_names(call.service)
    _demand(about_volume or not (call.volume or call.snapshot), "only a word about a volume names one")
    _demand(call.verb == "test-chain" or not call.chain, "only a test of a chain names one")
    for text, most in ((call.by, CALL_BY_CHARACTERS_MAX), (call.reason, CALL_REASON_CHARACTERS_MAX)):
        _demand(len(text) <= most and text.isprintable(), f"who and why are a line of at most {most} characters")
    is_word = call.verb in ("restart", "stop", "start", "restore")
    _demand(is_word or not (call.by or call.reason), "only a word about an instance or a restore says who and why")


def _check_service(service: Service) -> None:
    _demand(is_digest(service.image.digest) and is_digest(service.image.config), "an image is not named by digest")
    if service.policy:
        _check_policy(service.policy)
    if service.entrance:
        flaw = find_entrance_flaw(service.entrance)
        _demand(not flaw, flaw)
    if service.bandwidth:
        flaw = find_bandwidth_flaw(service.bandwidth)
        _demand(not flaw, f"bandwidth: {flaw}")
        _demand(service.bandwidth != NO_BANDWIDTH, "a bandwidth that says nothing is left out")
    replicas = service.placement.replicas
    for count in (replicas.per_site, replicas.total):
        _demand(0 <= count <= REPLICAS_MAX, f"replicas are 0 to {REPLICAS_MAX}")
    _check_sites(service.placement.sites)
    _check_selectors(service.placement.node)
    check = service.healthcheck
    if check is not None:
        _demand(bool(check.test) != bool(check.probe), "health is told by a command or by a probe")
    if check is not None and check.probe:
        _demand(1 <= check.probe.port <= PORT_MAX, "a probe asks a port that is none")
        _demand(not check.probe.path or is_page(check.probe.path), "a probe asks for a page that is none")


def _check_window(window: TimeWindow) -> None:
    is_time = 0 <= window.start_min < DAY_MIN and 0 <= window.end_min <= DAY_MIN
    _demand(is_time and window.start_min != window.end_min, "a window is at no time of a day")
    _demand(all(0 <= day < 7 for day in window.days), "a window is on a day that no week has")


def _check_secret(policy: SecretPolicy) -> None:
    _demand(policy.max_offline_us >= 0, "a time is not negative")
    _demand(is_rotation(policy.on_rotate), f"{policy.on_rotate[:80]!r} is nothing that a new secret does")
    _demand(not policy.env or is_variable(policy.env), f"{policy.env[:80]!r} is no name of a variable")
    _demand(not policy.env or policy.on_rotate == "restart", "a variable keeps an old secret until a restart")
    _check_selectors(policy.sites)


def _check_policy(policy: Policy) -> None:
    _demand(0 <= policy.priority.value <= PRIORITY_MAX, f"a priority is 0 to {PRIORITY_MAX}")
    _demand(policy.max_down >= 0 and 0 <= policy.max_down_permille <= 1000, "a share that is none may be down")
    autonomy = policy.autonomy
    _demand(autonomy.max_offline_us >= 0 and autonomy.replace_after_us >= 0, "a duration is not negative")


def _check_walls(profile: str, service: Service) -> None:
    """Hold what a service asks of its walls against the profile: its client may have been none of ours."""
    is_own = profile not in PROFILES  # Then the site's record has to grant it: ``model/granted.py``.
    for name in service.cap_add:
        grantable = grants_capability(profile, name) or (is_own and name in GRANTABLE)
        _demand(grantable, f"profile {profile} does not grant the capability {name[:80]}")
    if profile == STRICT:
        _demand(
            service.read_only and "ALL" in service.cap_drop, "profile strict takes all capabilities and a writable root"
        )
    for name in service.sysctls:
        _demand(owns_sysctl(name), f"the whole node shares {name[:80]}")
    for mount in service.mounts:
        for option in mount.options or ():
            _demand(grants_mount_option(mount.kind, option), f"a mount cannot have the option {option[:80]!r}")
    for port in service.ports:
        if port.among:
            first, last = port.among
            _demand(1 <= first <= last <= PORT_MAX and not port.published, "a range of ports that is none")
    further = service.further
    if not further:
        return
    _demand(0 <= further.root_bytes <= INTEGER_MAX, "a limit of the root is none")
    _demand(0 <= further.oom_score <= OOM_SCORE_MAX, "a score below 0 protects an instance from the node")
    if further.node:
        _demand(is_own, f"profile {profile} grants nothing of the node")
        _check_use(further.node, service)
    flaw = find_extras_flaw(further)
    _demand(not flaw, flaw)
    for need in list_further_needs(service):
        _demand(is_own, f"profile {profile} does not grant {need}")
    for folder in further.folders:
        _demand(all(map(is_inner_path, folder.files)), "a file of a folder lies outside of it")


def _check_use(use: NodeUse, service: Service) -> None:
    flaw = find_use_flaw(use)
    _demand(not flaw, flaw)
    if "network" in use.host:
        has_network = (
            service.networks
            or service.ports
            or service.entrance
            or any(name.startswith("net.") for name in service.sysctls)
        )
        _demand(
            not has_network, "in the network of the node a service has no networks, ports and parameters of its own"
        )


def _check_profiles(profiles: dict[str, Profile]) -> None:
    _demand(len(profiles) <= PROFILES_MAX, f"a site has at most {PROFILES_MAX} profiles")
    _check_names(*profiles, *(tenant for profile in profiles.values() for tenant in profile.tenants))
    for name, profile in profiles.items():
        _demand(name not in PROFILES, f"{name} is built in")
        flaw = find_profile_flaw(profile)
        _demand(not flaw, f"profile {name}: {flaw}")


def _check_subnet(subnet: Subnet) -> None:
    try:
        found = ipaddress.ip_network(subnet.subnet)
    except ValueError:
        raise _FlawError("a subnet is no range of addresses") from None
    _demand(grants_range(found), f"the range {found} is not private")
    for text in filter(None, (subnet.gateway, subnet.first, subnet.last)):
        try:
            _demand(ipaddress.ip_address(text) in found, f"{text[:80]} is not in {found}")
        except ValueError:
            raise _FlawError("an address is none") from None


def _check_record(record: SiteRecord) -> None:
    _check_names(record.site, *record.nodes, *record.tenants)
    _check_number(record.number)
    devices = {node.device for node in record.nodes.values()}
    _demand(len(devices) == len(record.nodes), "two nodes share a device key")
    for node in record.nodes.values():
        _check_key(node.device)
        _check_key(node.sealing)
        _demand(node.device.type != "x25519", "a sealing key cannot prove a device")
        _demand(node.sealing.type == "x25519", "a device key cannot open secrets")
    for role in record.tenants.values():
        _check_role(role)
    _check_profiles(record.profiles or {})
    _check_names(*(record.uplinks or {}))
    flaw = find_uplinks_flaw(record.uplinks or {})
    _demand(not flaw, flaw)
    flaw = find_relay_flaw(record.relay) if record.relay else ""
    _demand(not flaw, f"relay: {flaw}")


def _check_role(role: RoleKeys) -> None:
    _demand(1 <= len(role.keys) <= SIGNATURES_MAX, f"a role has 1 to {SIGNATURES_MAX} keys")
    _demand(len(set(role.keys)) == len(role.keys), "a role names one key twice")
    _demand(1 <= role.threshold <= len(role.keys), "a threshold that no signatures can meet")
    for key in role.keys:
        _check_key(key)
        _demand(key.type != "x25519", "a sealing key cannot sign")


def _check_key(key: PublicKey) -> None:
    sizes = _P256_BYTES if key.type == "p256-tpm" else (KEY_BYTES,)
    _demand(len(key.key) in sizes, f"a key of type {key.type} does not have {len(key.key)} bytes")


def _check_names(*names: str) -> None:
    for name in names:
        _demand(is_name(name), f"{name[:80]!r} is no name")


def _check_number(number: int) -> None:
    _demand(number >= 1, "numbers start at 1")


def _check_sites(sites: Sites) -> None:
    _check_names(*sites.names, *sites.exclude)
    _check_selectors(sites.match)


def _check_selectors(texts: Iterable[str]) -> None:
    for text in texts:
        try:
            parse_selector(text)
        except SelectorError as error:
            raise _FlawError(str(error)) from error


def _demand(holds: bool, flaw: str) -> None:
    if not holds:
        raise _FlawError(flaw)
