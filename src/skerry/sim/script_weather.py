"""Commands of transcripts for what happens by itself: to links, machines, processes, disks and clocks."""

from collections.abc import Mapping

from skerry.clock import SECOND_US
from skerry.model.ids import InstanceId, SiteName
from skerry.sim.script import Command, Script
from skerry.sim.script_words import seconds


async def _cut(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.cut(plain[0], plain[1] if len(plain) > 1 else "both")
    return script.news()


async def _heal(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    for site in plain or sorted(script.world.sites):
        script.weather.mend(site)
    return script.news()


async def _device(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have a network device of a site carry nothing, or carry again."""
    site, device, state = plain
    (script.weather.kill_device if state == "dead" else script.weather.mend_device)(site, device)
    return script.news()


async def _lock(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have a network of an app lock a site out while it is there, or do so no more."""
    site, network, state = plain
    locks = script.world.sites[SiteName(site)].locks
    (locks.add if state == "locks" else locks.discard)(network)
    return [f"{network} {'locks' if state == 'locks' else 'does not lock'} {site} out"]


async def _spend(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have so many bytes gone over a device of a site."""
    site, device, count = plain
    script.world.sites[SiteName(site)].queues.moved[device] += int(count)
    return [f"{count} bytes went over {device} of {site}"]


async def _slow(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.slow(plain[0], int(named.get("delay_ms", "0")), 0, int(named.get("bit_s", "0")))
    return script.news()


async def _kill(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    if plain[0] == "core":
        await script.weather.stop_core()
    else:
        await script.weather.stop_agent(plain[0])
    return script.news()


async def _power_cut(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.stop_agent(plain[0], power=True)
    return script.news()


async def _start(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await (script.weather.start_core() if plain[0] == "core" else script.weather.start_agent(plain[0]))
    return script.news()


async def _backup(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.back_up()
    return script.news()


async def _restore(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.restore_core()
    return script.news()


async def _image(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.image_disk(plain[0])
    return script.news()


async def _set_back(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.set_back(plain[0])
    return script.news()


async def _repair(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    await script.weather.repair()
    return script.news() or ["nothing was lost"]


async def _crash(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.crash(plain[0], float(named.get("choice", "0")))
    return script.news()


async def _drift(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.drift(plain[0])
    return script.news()


async def _runtime(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    faults: dict[str, float | int | bool] = {}
    for name, text in named.items():
        match name:
            case "unavailable":
                faults[name] = text == "yes"
            case "slow":
                faults["slow_us"] = seconds(text) * SECOND_US
            case _:
                faults[name] = float(text)
    script.weather.trouble(plain[0], **faults)
    return script.news()


async def _disk(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.fill_disk(plain[0], int(named["left"]))
    return script.news()


async def _clock(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.jump_clock(plain[0], seconds(plain[1]))
    return script.news()


async def _poison(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.poison(named.get("tenant", "default"), plain[0])
    return script.news()


async def _sicken(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Have the health check of an instance say no."""
    site, instance = plain
    script.world.sites[SiteName(site)].machine.unhealthy.add(InstanceId(instance))
    return [f"{instance} at {site} is not well"]


async def _cure(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.world.sites[SiteName(plain[0])].machine.unhealthy.clear()
    return [f"all is well at {plain[0]}"]


async def _part(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Let nothing pass between two sites."""
    script.weather.part(*plain)
    return script.news()


async def _unite(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.world.sea.parted.clear()
    return ["all sites can pass"]


async def _nat(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Put sites behind NATs of the kind that keeps no port."""
    for site in plain:
        script.weather.hide(site)
    return script.news()


async def _nat_opens(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    for site in plain:
        script.weather.open_up(site)
    return script.news()


async def _relay_dies(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """The relay of the core or of a site passes nothing on any more, and nobody is told."""
    script.weather.lose_relay(plain[0])
    return script.news()


async def _relay_lives(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    script.weather.mend_relay(plain[0])
    return script.news()


COMMANDS: dict[str, Command] = {
    "sicken": _sicken,
    "cure": _cure,
    "part": _part,
    "nat": _nat,
    "nat opens": _nat_opens,
    "relay dies": _relay_dies,
    "relay lives": _relay_lives,
    "unite": _unite,
    "cut": _cut,
    "heal": _heal,
    "slow": _slow,
    "device": _device,
    "network": _lock,
    "spend": _spend,
    "kill": _kill,
    "power cut": _power_cut,
    "start": _start,
    "backup": _backup,
    "restore": _restore,
    "repair": _repair,
    "image disk": _image,
    "set back": _set_back,
    "crash": _crash,
    "remove": _drift,
    "runtime": _runtime,
    "disk": _disk,
    "clock": _clock,
    "poison": _poison,
}
