"""The worker of the quickstart: measures the machine it runs on and writes a report. No figure in it is made up.

It writes reports/<name>.json (everything that was measured, and the summary) and reports/<name>.md (for people), each
first under another name, so that a reader never sees half a report. Python's standard library only, 3.8 or newer.
"""

import argparse
import datetime
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time

INTERVAL_SECONDS = 0.25
TOP = 5


# --- measuring: Linux ------------------------------------------------------------------------------------------------


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def cpu_ticks():
    """Clock ticks since boot that all processors spent working, and all they had."""
    fields = [int(value) for value in read("/proc/stat").splitlines()[0].split()[1:]]
    fields = fields[:8]  # what guests used is contained in the first two already
    idle = fields[3] + (fields[4] if len(fields) > 4 else 0)
    return {"busy_ticks": sum(fields) - idle, "total_ticks": sum(fields)}


def memory_kib():
    info = dict(line.split(":", 1) for line in read("/proc/meminfo").splitlines())
    kib = {name: int(value.split()[0]) for name, value in info.items()}
    return {"total_kib": kib["MemTotal"], "available_kib": kib.get("MemAvailable", kib["MemFree"])}


def linux_sample():
    sample = {"at": time.time(), "load_1m": float(read("/proc/loadavg").split()[0])}
    sample.update(cpu_ticks())
    sample.update(memory_kib())
    return sample


def linux_processes():
    """pid → what /proc/<pid>/stat says of it. A process that ends meanwhile is left out."""
    page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
    ticks_per_second = os.sysconf("SC_CLK_TCK")
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = read("/proc/%s/stat" % entry)
        except OSError:
            continue
        # The name is in brackets and may contain brackets itself: the last one ends it.
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        table[int(entry)] = {
            "name": name,
            "cpu_seconds": (int(fields[11]) + int(fields[12])) / ticks_per_second,
            "threads": int(fields[17]),
            "started_ticks": int(fields[19]),
            "rss_kib": int(fields[21]) * page_kib,
        }
    return table


def linux_mounts():
    """Mount points of file systems that hold data, each device once."""
    seen = {}
    for line in read("/proc/mounts").splitlines():
        device, point, kind = line.split()[:3]
        if device.startswith("/") or kind in ("overlay", "zfs", "btrfs", "nfs", "nfs4", "9p", "virtiofs"):
            seen.setdefault((device, kind), point.replace("\\040", " "))
    return list(seen.values()) or ["/"]


# --- measuring: elsewhere --------------------------------------------------------------------------------------------


def portable_sample():
    return {"at": time.time(), "load_1m": os.getloadavg()[0]}


def portable_processes():
    """pid → what `ps` says of it, which is the same on macOS and Linux."""
    output = subprocess.run(["ps", "-axo", "pid=,time=,rss=,comm="], stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")
    table = {}
    for line in output.splitlines():
        pid, cpu, rss, name = line.split(None, 3)
        table[int(pid)] = {"name": os.path.basename(name), "cpu_seconds": seconds_of(cpu), "threads": None, "started_ticks": None, "rss_kib": int(rss)}
    return table


def seconds_of(clock):
    """`1-02:03:04`, `02:03:04` or `3:04.05` in seconds."""
    days, _, rest = clock.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86400 * int(days or 0)


# --- computing -------------------------------------------------------------------------------------------------------


def describe(values):
    """Mean, median, 95th percentile (nearest rank), least and most."""
    ordered = sorted(values)
    count = len(ordered)
    if count == 0:
        return None
    middle = count // 2
    median = ordered[middle] if count % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {
        "count": count,
        "mean": sum(ordered) / count,
        "median": median,
        "p95": ordered[max(0, math.ceil(0.95 * count) - 1)],
        "min": ordered[0],
        "max": ordered[-1],
    }


def cpu_percentages(samples):
    """How busy all processors together were between each two samples."""
    pairs = [(before, after) for before, after in zip(samples, samples[1:]) if "total_ticks" in after]
    return [
        100 * (after["busy_ticks"] - before["busy_ticks"]) / (after["total_ticks"] - before["total_ticks"])
        for before, after in pairs
        if after["total_ticks"] > before["total_ticks"]
    ]


def memory_percentages(samples):
    return [100 * (1 - sample["available_kib"] / sample["total_kib"]) for sample in samples if "total_kib" in sample]


def cpu_time_used(before, after):
    """Seconds of CPU time that each process used between the two tables; a reused pid begins at nothing."""
    used = []
    for pid, now in after.items():
        then = before.get(pid)
        known = now["started_ticks"] is not None
        same = then is not None and (then["started_ticks"] == now["started_ticks"] if known else then["name"] == now["name"])
        used.append({"pid": pid, "name": now["name"], "cpu_seconds": now["cpu_seconds"] - (then["cpu_seconds"] if same else 0)})
    return used


def used_percent(fs):
    """As `df` counts: of what can be used, without the share that is kept for root."""
    usable = fs["used_bytes"] + fs["free_bytes"]
    return 100 * fs["used_bytes"] / usable if usable else 0.0


def summarise(raw):
    processes = raw["processes_after"]
    used = cpu_time_used(raw["processes_before"], processes)
    by_memory = sorted(processes.items(), key=lambda item: -item[1]["rss_kib"])
    return {
        "cpu_percent": describe(cpu_percentages(raw["samples"])),
        "memory_percent": describe(memory_percentages(raw["samples"])),
        "load_1m": describe([sample["load_1m"] for sample in raw["samples"]]),
        "process_count": len(processes),
        "thread_count": sum(process["threads"] for process in processes.values()) if raw["source"] == "/proc" else None,
        "rss_kib": describe([process["rss_kib"] for process in processes.values()]),
        "top_cpu": sorted(used, key=lambda item: -item["cpu_seconds"])[:TOP],
        "top_memory": [{"pid": pid, "name": process["name"], "rss_kib": process["rss_kib"]} for pid, process in by_memory[:TOP]],
        "file_systems": [dict(fs, used_percent=used_percent(fs)) for fs in raw["file_systems"]],
    }


# --- telling ---------------------------------------------------------------------------------------------------------


def mib(kib):
    return "%.1f MiB" % (kib / 1024)


def gib(count):
    return "%.1f GiB" % (count / 1024**3)


def table(head, rows):
    lines = [head, ["---"] * len(head)] + rows
    return ["| %s |" % " | ".join(str(cell).replace("|", "\\|") for cell in line) for line in lines]


def spread(name, unit, numbers):
    if numbers is None:
        return []
    return [[name] + ["%.1f%s" % (numbers[key], unit) for key in ("mean", "median", "p95", "min", "max")]]


def headline(raw, summary):
    if summary["cpu_percent"] is None:
        yield "The load was %.2f for %d processors" % (summary["load_1m"]["mean"], raw["processors"])
    else:
        yield "The %d processors were busy %.1f %% of the time, at most %.1f %%" % (
            raw["processors"], summary["cpu_percent"]["mean"], summary["cpu_percent"]["max"])
        yield "%.1f %% of %s of memory were in use" % (summary["memory_percent"]["mean"], gib(raw["samples"][-1]["total_kib"] * 1024))
    # A container may show its own processes only, but always this one.
    busiest, largest = summary["top_cpu"][0], summary["top_memory"][0]
    yield "Of %d processes the busiest was %s (pid %d) with %.2f s of CPU time, the largest %s (pid %d) with %s" % (
        summary["process_count"], busiest["name"], busiest["pid"], busiest["cpu_seconds"],
        largest["name"], largest["pid"], mib(largest["rss_kib"]))
    fullest = max(summary["file_systems"], key=lambda fs: fs["used_percent"], default=None)
    if fullest is not None:
        yield "The fullest file system, %s, is %.1f %% full (%s free)" % (fullest["path"], fullest["used_percent"], gib(fullest["free_bytes"]))


def as_markdown(raw, summary):
    lines = ["# What this machine does", ""]
    lines += ["- " + line for line in headline(raw, summary)]
    lines += ["", "Measured on %s (%s) from %s for %.1f s, %d samples, read from %s." % (
        raw["machine"], raw["system"], raw["began"], raw["duration_seconds"], len(raw["samples"]), raw["source"]), ""]
    if raw["source"] != "/proc":
        lines += ["This system has no /proc: CPU and memory use over time, and threads, are left out.", ""]
    lines += ["## Over time", ""]
    lines += table(["", "mean", "median", "p95", "least", "most"],
                   spread("CPU busy", " %", summary["cpu_percent"]) + spread("memory in use", " %", summary["memory_percent"])
                   + spread("load (1 min)", "", summary["load_1m"]))
    lines += ["", "## Processes by CPU time used meanwhile", ""]
    lines += table(["pid", "name", "CPU time"], [[p["pid"], p["name"], "%.2f s" % p["cpu_seconds"]] for p in summary["top_cpu"]])
    lines += ["", "## Processes by memory", ""]
    lines += table(["pid", "name", "resident"], [[p["pid"], p["name"], mib(p["rss_kib"])] for p in summary["top_memory"]])
    lines += ["", "## File systems", ""]
    lines += table(["path", "size", "used", "free", "full"], [
        [fs["path"], gib(fs["total_bytes"]), gib(fs["used_bytes"]), gib(fs["free_bytes"]), "%.1f %%" % fs["used_percent"]]
        for fs in summary["file_systems"]])
    return "\n".join(lines) + "\n"


def write_whole(path, text):
    temporary = "%s.%d.tmp" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


# --- the whole -------------------------------------------------------------------------------------------------------


def file_systems(points):
    found = []
    for point in points:
        try:
            usage = shutil.disk_usage(point)
        except OSError:
            continue
        if usage.total > 0:
            found.append({"path": point, "total_bytes": usage.total, "used_bytes": usage.used, "free_bytes": usage.free})
    return found


def measure(seconds, portable):
    sample, processes = (portable_sample, portable_processes) if portable else (linux_sample, linux_processes)
    began, start = datetime.datetime.now().astimezone(), time.monotonic()
    before, samples = processes(), [sample()]
    while time.monotonic() - start < seconds:
        time.sleep(min(INTERVAL_SECONDS, max(0.0, seconds - (time.monotonic() - start))))
        samples.append(sample())
    after = processes()
    return {
        "machine": platform.node(),
        "system": "%s %s" % (platform.system(), platform.release()),
        "processors": os.cpu_count() or 1,
        "source": "ps" if portable else "/proc",
        "began": began.isoformat(timespec="seconds"),
        "duration_seconds": time.monotonic() - start,
        "samples": samples,
        "processes_before": before,
        "processes_after": after,
        "file_systems": file_systems(["/"] if portable else linux_mounts()),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=5, help="how long to measure")
    arguments.add_argument("--report", default="machine_report", help="name of the report in the folder reports")
    arguments.add_argument("--portable", action="store_true", help="measure as on a system without /proc")
    options = arguments.parse_args()
    if os.path.basename(options.report) != options.report or options.report in ("", ".", ".."):
        arguments.error("--report is a plain name, not a path: %r" % options.report)
    try:
        os.makedirs("reports", exist_ok=True)
    except OSError as error:
        sys.exit("The folder for the report cannot be made: %s" % error)
    print("Measuring this machine for %g s" % options.seconds, flush=True)
    raw = measure(options.seconds, options.portable or not os.path.exists("/proc/stat"))
    summary = summarise(raw)
    path = os.path.abspath(os.path.join("reports", options.report))
    write_whole(path + ".json", json.dumps({"raw": raw, "summary": summary}, indent=1))
    write_whole(path + ".md", as_markdown(raw, summary))
    print("The report is written: %s.md" % path, flush=True)


if __name__ == "__main__":
    main()
