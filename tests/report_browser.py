#!/usr/bin/env python3
"""report_browser.py: the HTML report in a headless Chromium, by mouse and by keyboard.

`killpoint` is taken from PATH, chromium and chromedriver are Debian's. Results are made up, and hold
what a hostile backend may write. With SHOTS=FOLDER pictures of the page are left there.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

HOSTILE = "</pre></details><script>window.pwned = 1</script><img src=x onerror=\"pwned=1\">"
VERDICTS = ["PASS", "FAIL", "XFAIL", "XPASS", "TIMEOUT", "CRASH", "LEAK", "UNSUPPORTED", "SKIP",
            "UNRESOLVED", "ERROR"]
CLASSES = ["broken", "dirty", "ended", "refused", "fine", "unknown"]
CLAIMS = {"broken": "success", "dirty": "success", "ended": "timeout", "refused": "failure",
          "fine": "success", "unknown": "unknown"}
FINDINGS = {"broken": ["must/hashdir-finds-ca", "exact/files"], "dirty": ["exact/files"]}
ENTER, SPACE, RIGHT = "\ue007", " ", "\ue014"


def run_events(backend, shift):
    ids = [f"places/a-rather-long-name-of-a-scenario[ms={n}]@bookworm" for n in range(40)]
    yield {"event": "begin", "backend": backend, "title": f"made up {HOSTILE}", "shard": "1/1",
           "plan": ids}
    for n, name in enumerate(ids):
        verdict = VERDICTS[(n + shift) % len(VERDICTS)] if n % 3 == 0 else "PASS"
        yield {"event": "trial", "id": name, "verdict": verdict, "title": f"title {HOSTILE}",
               "again": "killpoint run " + name, "folder": "", "calls": [{"verb": "exec", "status": 137}],
               "runs": [{"stderr": HOSTILE + "x" * 500}],
               "checks": [{"id": "claim", "result": "fail", "decides": True,
                           "expected": "success", "found": "/very" * 40 + HOSTILE}]}
    yield {"event": "end", "exit": 1, "interrupted": False,
           "outdated": [{"path": "l.yaml", "line": 3, "column": 1, "text": "old " + HOSTILE}]}


def token(point):
    return ("kp1:bbf35161286d:cc907e70b2a5:5443412c5512:exec#1:tree:update-ca-certi:write:"
            f"/etc/ssl/certs/ca-certificates.crt.new#{point}")


def explore_events():
    points = 150
    yield {"event": "begin", "trace": "cc907e70b2a5", "backend": "upstream", "layout": "bookworm",
           "call": "exec#1", "scopes": 1, "depth": 1, "shard": "1/1", "execs": 1, "points": points,
           "states": points, "addresses": [token(n + 1).split(":tree:")[1] for n in range(points)],
           "all": points, "cases": points}
    for n in range(points - 3):
        kind = CLASSES[n // 5 % len(CLASSES)]
        yield {"event": "case", "token": token(n + 1), "scope": "tree", "class": kind,
               "claim": CLAIMS[kind], "execs": 2, "points": 1, "at": [n + 1],
               "findings": FINDINGS.get(kind, []), "said": HOSTILE,
               "diff": f"/etc/{n}: nothing instead of {HOSTILE}; " + "/long" * 60 + ": one"}
    yield {"event": "end"}


class Browser:
    """A session of WebDriver, https://www.w3.org/TR/webdriver2/."""

    def __init__(self, folder):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = f"http://127.0.0.1:{line.rstrip('. ' + chr(10)).split()[-1]}"
                break
        options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            f"--user-data-dir={folder}/profile", "--window-size=1200,900"]}
        self.session = ""
        made = self.call("/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + made["sessionId"]

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        path = path if path == "/session" else self.session + path
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["value"]

    def close(self):
        try:
            if self.session:
                urllib.request.urlopen(urllib.request.Request(self.base + self.session, method="DELETE"),
                                       timeout=10)
        finally:
            self.driver.terminate()
            self.driver.wait(10)

    def run(self, script):
        return self.call("/execute/sync", {"script": script, "args": []})

    def devtools(self, command, **params):
        return self.call("/goog/cdp/execute", {"cmd": command, "params": params})

    def find(self, selector):
        return "/element/" + list(self.call("/element", {"using": "css selector",
                                                         "value": selector}).values())[0]

    def click(self, selector):
        self.call(self.find(selector) + "/click", {})

    def press(self, selector, keys):
        self.call(self.find(selector) + "/value", {"text": keys})

    def look(self, width, scheme):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900,
                      deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shoot(self, name):
        if os.environ.get("SHOTS"):
            with open(f"{os.environ['SHOTS']}/{name}.png", "wb") as file:
                file.write(base64.b64decode(self.call("/screenshot")))


FAINT = """
const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).slice(0, 3).map(v => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
return [...document.querySelectorAll('.tag')].filter(tag => {
  const style = getComputedStyle(tag), a = light(style.color), b = light(style.backgroundColor);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; }).map(tag => tag.className);
"""
WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


def check(name, found, wanted):
    """found is a value, or a function that may take its time to give the one that is wanted."""
    find, end = (found if callable(found) else lambda: found), time.monotonic() + 5
    while (found := find()) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    if found != wanted:
        raise SystemExit(f"{name}: expected {wanted!r}, found {found!r}")
    print(f"{name}: ok")


def check_page(browser):
    panel = "return document.querySelector('.panel').textContent.includes('%s')"
    check("no script of a backend ran", browser.run("return window.pwned === undefined"), True)
    check("nothing else is loaded", browser.run(
        "return performance.getEntriesByType('resource').length"), 0)
    check("a cell for each crash point", browser.run(
        "return document.querySelectorAll('.line li').length"), 150)
    check("no outcome is told by colour alone", browser.run(
        "return new Set([...document.querySelectorAll('.line .tag')].map(t => t.textContent)).size"), 7)
    browser.click(".line li:nth-child(7) a")
    check("a click shows the token", browser.run(panel % token(7)), True)
    check("and what differs", browser.run(panel % "/etc/6: nothing instead of </pre>"), True)
    browser.shoot("clicked")
    browser.press(".line li:nth-child(7) a", RIGHT)
    check("an arrow shows the next one", browser.run(panel % token(8)), True)
    browser.press(".line li:nth-child(20) a", ENTER)
    check("Enter shows a point", browser.run(panel % token(20)), True)
    browser.press("a[href='#t0-3']", ENTER)
    check("a verdict opens what is behind it", lambda: browser.run(
        "const e = document.getElementById('t0-3'); return e.open && "
        "e.getBoundingClientRect().top < innerHeight"), True)
    browser.press("#t0-6 summary", ENTER)
    check("Enter opens a trial", browser.run("return document.getElementById('t0-6').open"), True)
    browser.press("#only", SPACE)
    check("rows of PASS alone are left out", browser.run(
        "return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight > 0).length"), 14)


def check_widths(browser):
    for width in 1200, 400:
        for scheme in "light", "dark":
            browser.look(width, scheme)
            check(f"{scheme}, {width} px: tags can be read", browser.run(FAINT), [])
            browser.run("scrollTo(0, 0)")
            browser.shoot(f"{scheme}-{width}")
            browser.run("document.querySelector('.line').previousElementSibling.scrollIntoView()")
            browser.shoot(f"{scheme}-{width}-line")
            browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
            check(f"{scheme}, {width} px: no scrolling to the side", browser.run(WIDE), 0)
            browser.run("document.querySelectorAll('details').forEach(d => { d.open = false })")


def check_without_scripts(browser, address):
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    browser.call("/url", {"url": address})
    browser.click("#x0-0 summary")
    check("without scripts a point opens", browser.call(browser.find("#x0-0") + "/property/open"), True)
    text = browser.call(browser.find("#x0-0") + "/text")
    check("and has its token", token(1) in text, True)


def main():
    for program in "chromium", "chromedriver":
        if not shutil.which(program):
            print(f"{program} is not installed")
            return 77
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, events in ("a", run_events("upstream", 0)), ("b", run_events("<b>x</b>", 4)), \
                ("c", explore_events()):
            files.append(f"{folder}/{name}")
            with open(files[-1], "w", encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in events)
        page = f"{folder}/page.html"
        subprocess.run(["killpoint", "report", *files, "--html", page], check=True)
        browser = Browser(folder)
        try:
            browser.call("/url", {"url": "file://" + page})
            check_page(browser)
            check_widths(browser)
            check("no errors on the console", browser.call("/se/log", {"type": "browser"}), [])
            check_without_scripts(browser, "file://" + page)
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
