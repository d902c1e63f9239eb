package failsafe

import (
	"context"
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v3/disk"
)

// The library leaves out what it cannot read, without an error.
var errNoDisk = errors.New("the file system tells no size")

// fileSystem is what can be asked of a file system by a path on it.
type fileSystem struct {
	usage    func(ctx context.Context, path string) (*disk.UsageStat, error)
	readOnly func(path string) (bool, error)
}

func hostDisk(path string) sense {
	return fileSystem{disk.UsageWithContext, readOnly}.sense(path)
}

// sense reads the room and the inodes of a file system, of which the scarcer
// counts: a file needs both. On one that is mounted read-only nothing can run out;
// an image is full from the day it was made.
func (f fileSystem) sense(path string) sense {
	return func(ctx context.Context) (measured, error) {
		d, err := f.usage(ctx, path)
		if err != nil {
			return unknown, err
		}
		ro, err := f.readOnly(path)
		if err != nil {
			return unknown, err
		}
		if ro {
			return measured{source: host, detail: "it is mounted read-only, so that nothing can fill it"}, nil
		}
		if d.Total == 0 {
			return unknown, errNoDisk
		}
		return higher(inodes(d), room(d)), nil
	}
}

// room is what the program cannot use of the file system, as df counts it: what is
// reserved for the system's administrator is neither free nor in use.
func room(d *disk.UsageStat) measured {
	free := d.Free
	if free > d.Total { // below zero: on some systems the administrator has used the reserve
		free = 0
	}
	m := measured{
		source: host,
		detail: fmt.Sprintf("%s left of %s", size(float64(free)), size(float64(d.Total))),
		remedy: "delete or move away what is not needed, or make the file system larger",
	}
	if d.Used+free > 0 {
		m.percent = share(float64(d.Used), float64(d.Used+free))
	}
	return m
}

// inodes is how many of the files that there can be are there. File systems that
// make inodes as they need them say that there are none, or more free ones than
// there are.
func inodes(d *disk.UsageStat) measured {
	if d.InodesTotal == 0 || d.InodesFree > d.InodesTotal {
		return unknown
	}
	return measured{
		percent: share(float64(d.InodesTotal-d.InodesFree), float64(d.InodesTotal)), source: host,
		detail: fmt.Sprintf("of its inodes, %d left of %d: there are too many files, of whatever size", d.InodesFree, d.InodesTotal),
		remedy: "delete files that are not needed, small ones too, or make the file system anew with more inodes",
	}
}
