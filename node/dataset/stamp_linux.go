package dataset

import (
	"io/fs"
	"syscall"
	"time"
)

// stamp is what the file system says of a file's content. The change time is
// set by every write and by nobody's wish.
type stamp struct {
	certain              bool // false: two writes may have the same stamp
	device, inode        uint64
	size, changed, nanos int64
}

// coarse is more than the step of any file system's clock: a file changed later
// than that before it was opened could be changed again without a sign.
const coarse = 2 * time.Second

func stampOf(info fs.FileInfo) stamp {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	sec, nanos := s.Ctim.Unix()
	return stamp{
		certain: time.Since(time.Unix(sec, nanos)) > coarse,
		device:  uint64(s.Dev), inode: s.Ino, size: s.Size, changed: sec, nanos: nanos,
	}
}
