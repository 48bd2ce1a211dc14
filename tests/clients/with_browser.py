"""Debian's chromium, driven by its WebDriver: what a person sees who sends a form or opens a link.

    with_browser.py FUNCTION
"""

import contextlib
import http.server
import os
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

BUCKET = os.environ["BUCKET"]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
SECONDS = 30
NAME = "ein Brief für dich.txt"
CONTENT = "grüße\r\n\0".encode() * 1000

# Each does what a script in a page could do: show that it ran, and ask its origin, with the rights of that origin.
SCRIPT = 'document.title = "ran"; fetch("/asked-by-the-page");'
PAGES = {
    "page.html": ("text/html", f"<!doctype html><title>still</title><p id=there>Hello</p><script>{SCRIPT}</script>"
                               f"<img src=x onerror='{SCRIPT}'>"),
    "picture.svg": ("image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg"><title>still</title><text id="there">Hello'
                                     f"</text><script>{SCRIPT}</script></svg>"),
    "page.xhtml": ("application/xhtml+xml", '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>still</title></head>'
                                            f'<body><p id="there">Hello</p><script>{SCRIPT}</script></body></html>'),
}
# Of a type that no browser runs, unless it guesses.
GUESSED = ("text/plain", PAGES["page.html"][1])


def client():
    return boto3.client("s3", region_name=os.environ["AWS_REGION"], config=Config(signature_version="s3v4"))


@contextlib.contextmanager
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    with tempfile.TemporaryDirectory() as home:
        for word in ["headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking",
                     "disable-component-update", "disable-sync", "no-first-run", f"user-data-dir={home}"]:
            options.add_argument(f"--{word}")
        driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()


@contextlib.contextmanager
def site(pages):
    """A plain web server with these pages; gives its address and the paths that were asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            asked.append(self.path)
            kind, content = pages.get(path.lstrip("/"), ("text/plain", "nothing here"))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def wait(driver, condition):
    return WebDriverWait(driver, SECONDS).until(condition)


def form(key, **policy):
    """A page with a form that may store `key`."""
    post = client().generate_presigned_post(BUCKET, key, ExpiresIn=60, **policy)
    fields = "".join(f'<input type=hidden name="{name}" value="{value}">' for name, value in post["fields"].items())
    return "text/html", (f'<!doctype html><form method=post enctype=multipart/form-data action="{post["url"]}">{fields}'
                         "<input type=file name=file><button>Send</button></form>")


def send(driver, page):
    """Picks the file and presses the button, as a person does."""
    with open(NAME, "wb") as file:
        file.write(CONTENT)
    driver.get(page)
    driver.find_element(By.NAME, "file").send_keys(os.path.abspath(NAME))
    driver.find_element(By.TAG_NAME, "button").click()


def browser_sends_a_form_with_a_file():
    s3 = client()
    pages = {"thanks": ("text/html", "<!doctype html><title>thanks</title>")}
    with site(pages) as (here, asked), browser() as driver:
        target = f"{here}/thanks"
        pages["form"] = form(
            "inbox/${filename}", Fields={"success_action_redirect": target, "Content-Type": "text/x-letter"},
            Conditions=[{"success_action_redirect": target}, {"Content-Type": "text/x-letter"},
                        ["content-length-range", 1, len(CONTENT)]])
        send(driver, f"{here}/form")
        wait(driver, lambda driver: driver.title == "thanks")
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(driver.current_url).query)
    got = s3.get_object(Bucket=BUCKET, Key=f"inbox/{NAME}")
    assert got["Body"].read() == CONTENT and got["ContentType"] == "text/x-letter", got
    assert query == {"bucket": [BUCKET], "key": [f"inbox/{NAME}"], "etag": [got["ETag"]]}, query
    assert [path for path in asked if path.startswith("/thanks?")], asked


def browser_shows_why_a_form_is_refused():
    pages = {"form": form("inbox/${filename}", Conditions=[["content-length-range", 1, 100]])}
    with site(pages) as (here, _), browser() as driver:
        send(driver, f"{here}/form")
        wait(driver, lambda driver: "EntityTooLarge" in driver.page_source)
        assert driver.current_url.startswith(ENDPOINT), driver.current_url
    assert client().list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def page_from_the_store_never_runs():
    s3 = client()
    for name, (kind, content) in dict(PAGES, guessed=GUESSED).items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=content.encode(), ContentType=kind)
    with site(PAGES) as (here, asked), browser() as driver:
        for name in PAGES:
            # Where nothing forbids it, the script runs: only so does its silence below mean something.
            asked.clear()
            driver.get(f"{here}/{name}")
            wait(driver, lambda driver: driver.title == "ran" and "/asked-by-the-page" in asked)
        for name in [*PAGES, "guessed"]:
            link = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": name}, ExpiresIn=60)
            headers = urllib.request.urlopen(link).headers
            assert headers["Content-Security-Policy"] == "sandbox", name
            assert headers["X-Content-Type-Options"] == "nosniff", name
            driver.get(link)
            # The page has loaded, with all that is in it, and it is the page.
            assert driver.execute_script("return document.readyState") == "complete", name
            assert "Hello" in driver.page_source and driver.current_url == link, name
            assert driver.title != "ran", f"{name} ran"
            asked_for = driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
            assert not [each for each in asked_for if "asked-by-the-page" in each], f"{name} asked: {asked_for}"
            assert driver.execute_script("return self.origin") == "null", f"{name} has the store's origin"


if __name__ == "__main__":
    globals()[sys.argv[1]]()
