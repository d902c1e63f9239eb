package core

import (
	"math/bits"
	"runtime"
	"unsafe"
)

// shards is how many shards a breaker uses: a power of two, one for each
// processor, at most 32.
func shards() int {
	n := min(runtime.GOMAXPROCS(0), 32)
	return 1 << bits.Len(uint(n-1))
}

// shardIndex picks a shard by the address of the caller's stack. A shard must
// follow the core, or its line travels between them; the goroutine that runs on
// a core now and then is the next best thing that Go tells without a linkname,
// and reading the address costs a nanosecond. Stacks are 2 KiB at least.
func shardIndex() uint8 {
	var here byte
	const golden = 0x9E3779B97F4A7C15
	return uint8(uint64(uintptr(unsafe.Pointer(&here))>>11) * golden >> 56) //nolint:gosec // the address is only hashed
}
