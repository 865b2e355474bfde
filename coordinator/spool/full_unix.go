//go:build !windows

package spool

import (
	"errors"
	"syscall"
)

// full reports whether a write failed for want of room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
