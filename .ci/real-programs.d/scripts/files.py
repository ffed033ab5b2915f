"""Files and folders: what a script finds in the two folders it was given."""
import os
import sys

print(sys.argv)
print("name:", __name__, "beside:", {"files.py", "smoke.py"} <= set(os.listdir("/scripts")))

with open("/rw/notes.txt", "w") as f:
    for i in range(1000):
        print(f"line {i}", file=f)
with open("/rw/notes.txt", "r+b") as f:
    f.seek(5000)
    f.write(b"#" * 10)
    f.seek(-20, os.SEEK_END)
    print(f.read())
with open("/rw/notes.txt", "a") as f:
    print("appended", file=f)
print(os.stat("/rw/notes.txt").st_size, sum(1 for _ in open("/rw/notes.txt")))

os.makedirs("/rw/a/b/c")
os.rename("/rw/notes.txt", "/rw/a/b/c/moved.txt")
print([(d, sorted(ds), sorted(fs)) for d, ds, fs in os.walk("/rw")])
os.truncate("/rw/a/b/c/moved.txt", 12)
print(open("/rw/a/b/c/moved.txt").read().encode())
os.symlink("b", "/rw/a/link")
print(os.readlink("/rw/a/link"), os.path.exists("/rw/a/link/c/moved.txt"), os.lstat("/rw/a/link").st_mode >> 12 == 0o12)
os.utime("/rw/a/b", (1_000_000_000, 1_234_567_890))
print(os.stat("/rw/a/b").st_mtime)

for wrong in (lambda: open("/rw/none"), lambda: os.rmdir("/rw/a"), lambda: os.mkdir("/rw/a"), lambda: open("/rw/a/b/c/moved.txt/x"),
              lambda: os.listdir("/etc"), lambda: open("/rw/../../etc/passwd")):
    try:
        wrong()
        print("no error")
    except OSError as e:
        print(type(e).__name__)

os.remove("/rw/a/link")
os.remove("/rw/a/b/c/moved.txt")
os.removedirs("/rw/a/b/c")
