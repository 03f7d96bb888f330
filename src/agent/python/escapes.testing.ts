// What code can try from inside the interpreter: the list of docs/tools.md, run by host.node.test.ts and, where an attempt
// takes its time or the interpreter with it, by host.node.slow.test.ts. Not shipped.

export type Attempt = readonly [name: string, code: string];

/** Each prints ESCAPED if it gets anywhere; PATH, PORT and TARGET are of the host. */
export const attempts: readonly Attempt[] = [
  ['open a file of the host', 'print("ESCAPED" if open(PATH).read() else 0)'],
  ['/etc/passwd', 'print("ESCAPED" if "root:" in open("/etc/passwd").read() else 0)'],
  ['/proc of the host', 'print("ESCAPED", open("/proc/self/environ").read())'],
  ['write a file of the host', 'open(TARGET, "w").write("x")'],
  [
    'the environment',
    'import os\nprint("ESCAPED" if any(k in os.environ for k in ("USERPROFILE", "SHELL", "NODE_OPTIONS", "TERM")) else 0)',
  ],
  ['os.system', 'import os\nprint("ESCAPED" if os.system("true") == 0 else 0)'],
  ['os.popen', 'import os\nprint("ESCAPED" + os.popen("id").read())'],
  ['subprocess', 'import subprocess\nprint("ESCAPED", subprocess.run(["id"], capture_output=True).stdout)'],
  ['fork', 'import os\nos.fork()\nprint("ESCAPED")'],
  ['fork bomb', 'import os\nfor _ in range(1000): os.fork()\nprint("ESCAPED")'],
  ['threads', 'import threading\nt = threading.Thread(target=print, args=("ESCAPED",))\nt.start()'],
  ['multiprocessing', 'import multiprocessing\nmultiprocessing.Process(target=print, args=("ESCAPED",)).start()'],
  ['exec', 'import os\nos.execv("/bin/sh", ["sh"])\nprint("ESCAPED")'],
  ['kill', 'import os, signal\nos.kill(1, signal.SIGKILL)\nos.kill(os.getppid(), 9)'],
  [
    'a socket',
    'import socket\ns = socket.create_connection(("127.0.0.1", PORT), 1)\ns.send(b"x")\nprint("ESCAPED", s.recv(1))',
  ],
  ['urllib', 'import urllib.request\nprint("ESCAPED", urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=1))'],
  [
    'http.client',
    'import http.client\nc = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1)\nc.request("GET", "/")\nprint("ESCAPED", c.getresponse())',
  ],
  [
    'pyodide.http',
    'from pyodide.http import pyfetch\nr = await pyfetch(f"http://127.0.0.1:{PORT}/")\nprint("ESCAPED", r.status)',
  ],
  ['open_url', 'from pyodide.http import open_url\nprint("ESCAPED", open_url(f"http://127.0.0.1:{PORT}/"))'],
  ['micropip', 'import micropip\nawait micropip.install("six")\nprint("ESCAPED")'],
  ['loadPackage', 'import pyodide_js\nawait pyodide_js.loadPackage("numpy")\nimport numpy\nprint("ESCAPED")'],
  ['js.process', 'import js\nprint("ESCAPED", js.process.pid)'],
  ['js.fetch', 'import js\nr = await js.fetch(f"http://127.0.0.1:{PORT}/")\nprint("ESCAPED")'],
  ['js.globalThis', 'from js import globalThis\nprint("ESCAPED", globalThis.process)'],
  ['js.eval', 'import js\nprint("ESCAPED", js.eval("process.pid"))'],
  ['run_js', 'from pyodide.code import run_js\nprint("ESCAPED", run_js("process.pid"))'],
  [
    'the constructor of functions',
    'import pyodide_js\nf = pyodide_js._module.constructor.constructor\nprint("ESCAPED", f("return process.pid")())',
  ],
  [
    'the constructor of async functions',
    'import pyodide_js\nf = pyodide_js.runPythonAsync.constructor\nprint("ESCAPED", f("return process.pid")())',
  ],
  [
    'an import by the module',
    'import pyodide_js\nprint("ESCAPED", (await pyodide_js._api.importModule("node:fs")).readFileSync)',
  ],
  [
    'mountNodeFS',
    'import pyodide_js\npyodide_js.mountNodeFS("/host", "/")\nimport os\nprint("ESCAPED" if os.path.exists("/host" + PATH) else 0, open("/host" + PATH).read())',
  ],
  [
    'mountNodeFS of /etc',
    'import pyodide_js\npyodide_js.mountNodeFS("/etc2", "/etc")\nprint("ESCAPED", open("/etc2/passwd").read())',
  ],
  [
    'NODEFS by the module',
    'import pyodide_js\nm = pyodide_js._module\nm.FS.mkdir("/h")\nm.FS.mount(m.FS.filesystems.NODEFS, {"root": "/"}, "/h")\nprint("ESCAPED", open("/h" + PATH).read())',
  ],
  [
    'ffi proxies',
    'from pyodide.ffi import create_proxy, to_js\nimport pyodide_js\np = create_proxy(lambda *a: a)\nprint("ESCAPED", pyodide_js._module.ENV.process.pid)',
  ],
  [
    "an error's stack of frames",
    `import pyodide_js
from pyodide.ffi import create_proxy
got = []
E = pyodide_js._module.FS.ErrnoError.prototype.constructor
base = pyodide_js._module.constructor.getPrototypeOf(E) if E else None
def prepare(error, frames):
    for f in frames:
        t = f.getThis()
        if t and getattr(t, "process", None): got.append(t.process)
    return ""
base.prepareStackTrace = create_proxy(prepare)
try: pyodide_js._module.FS.readFile("/none")
except Exception as e: str(e.js_error.stack)
print("ESCAPED" if got else 0, got[0].pid)`,
  ],
  ['ctypes', 'import ctypes\nprint("ESCAPED" if ctypes.CDLL(None).system(b"true") == 0 else 0)'],
  ['ctypes at an address', 'import ctypes\nctypes.string_at(0xFFFFFFF0, 64)\nctypes.memset(0x10, 0, 16)'],
  ['dlopen', 'import ctypes\nctypes.CDLL("/lib/x86_64-linux-gnu/libc.so.6")\nprint("ESCAPED")'],
  [
    'a file written in the image of Pyodide',
    'import pyodide\nopen(pyodide.__file__, "a").write("#")\nimport sys\nprint("ESCAPED" if open(PATH).read() else 0)',
  ],
  [
    'frames written to the pipe',
    'import os\nfor fd in range(3, 20):\n  try: os.write(fd, b"\\x01" + b"\\xff" * 64)\n  except OSError: pass\nos.write(1, b"\\x01\\xff\\xff\\xff\\xff" * 64)',
  ],
  ['an endless comprehension', '[0 for _ in iter(int, 1)]'],
  ['a huge power', '9 ** 9 ** 9'],
  ['an evil expression', 'import re\nre.match(r"(a+)+$", "a" * 40 + "b")'],
  [
    'a zip bomb',
    'import zlib\nd = zlib.compress(b"0" * 10_000_000)\nb"".join(zlib.decompress(d) for _ in range(10_000))',
  ],
  ['a nest of lists', 'x = []\nfor _ in range(2_000_000): x = [x]\nrepr(x)'],
  ['deep source', 'eval("(" * 100_000 + ")" * 100_000)'],
];

/** Those that run until the limit, or end the interpreter. */
export const slowAttempts: ReadonlySet<string> = new Set([
  'os.popen',
  'subprocess',
  'a file written in the image of Pyodide',
  'ctypes at an address',
  'dlopen',
  'a huge power',
  'an evil expression',
  'a zip bomb',
  'a nest of lists',
]);

export function headOf(folder: string, port: number): string {
  return `PATH = ${JSON.stringify(`${folder}/secret`)}\nPORT = ${port}\nTARGET = ${JSON.stringify(`${folder}/target`)}\n`;
}
