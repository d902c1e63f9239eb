// Package failsafe keeps work from being started where it cannot go well: on a
// machine without processor time, memory or room on its disks.
//
//	vitals, err := failsafe.New(failsafe.Config{})
//	if err != nil {
//		return err
//	}
//	go vitals.Run(ctx)
//	gate := core.All(breaker, vitals)
//
// [Vitals] is a [core.Gate]. Run takes the readings, in a goroutine of the
// caller's, every five seconds unless set otherwise; Allow only looks at what was
// read, which costs an atomic load. A refusal is an [*Error]; it matches
// [ErrFailsafe] and [core.ErrOpen], so that breakers, retries and the adapters for
// HTTP and gRPC take it for what it is.
//
// What is wrong is said by [Condition], each with a [Severity]:
//
//	                   medium                high     critical
//	CPU                from the threshold    95 %     99 %
//	Memory, Disk       from the threshold    95 %     98 %
//	ErrorRate          from the threshold    70 %     90 %
//	ConsecutiveErrors                        from the threshold
//	Sensor             low, always
//
// So that it does not flap, a condition begins and ends, and its severity changes,
// only after some readings in a row, and it ends only well below the threshold. A
// sensor that cannot be read, and readings that are too old, are a condition too;
// by default that is told and refuses nothing, see Config.Refuse.
//
// In a container its limits count: of the machine's reading and those of the
// control groups (version 1 and 2) that the process is in, the highest is taken.
// Limits on the processors that may be used, cpuset, are not looked at.
//
// Memory that can be taken back is no shortage: file cache, whether it was used
// once or often, the kernel's caches of names and inodes, and that of ZFS. Shared
// memory, tmpfs, locked pages and what has yet to be written to a disk count as
// used, and swap makes no room. A disk is short when its room or its inodes are;
// one that is mounted read-only never is, which on Windows, NetBSD, OpenBSD and
// Solaris cannot be told.
//
// Errors of calls are counted by breakers; [ErrorLimits] makes conditions of what
// they have counted. [Detector] looks at all of it once, when it is asked.
package failsafe
