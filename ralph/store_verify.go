package ralph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pages looks at every page of a bbolt file that is in use, and at the list of
// those that are free. bbolt believes what it reads, so that a file in which a byte
// is not what it was makes it panic, fault, run in circles, or write over what is in
// use; its own check does, too. The file's format has not changed since 2014.
//
//	page      id 8, flags 2, count 2, overflow 4 (further pages), then elements
//	branch    offset of the key from here 4, its length 4, page 8
//	leaf      flags 4, offset of the key 4, its length 4, that of the value 4
//	bucket    in a leaf's value: root page 8, sequence 8; without a root, a page
//	meta      magic 4, version 4, page size 4, flags 4, root bucket 16, free list 8, pages 8, …
//
// Numbers are in the order of the machine's bytes.
type pages struct {
	file io.ReaderAt
	size int // of a page
	used []bool
}

const (
	pageHeader  = 16
	element     = 16
	branchPage  = 0x01
	leafPage    = 0x02
	freePage    = 0x10
	bucketEntry = 0x01
	bucketSize  = 16
	maxLevels   = 64
	noFreeList  = 1<<64 - 1
)

func u16(b []byte) int    { return int(binary.NativeEndian.Uint16(b)) }
func u32(b []byte) int    { return int(binary.NativeEndian.Uint32(b)) }
func u64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// verify checks the file as the transaction left it whose meta page is that, 0 or 1.
func verify(file io.ReaderAt, pageSize, meta, count int) error {
	p := &pages{file: file, size: pageSize, used: make([]bool, count)}
	head := make([]byte, pageSize)
	if _, err := file.ReadAt(head, int64(meta*pageSize)); err != nil {
		return err
	}
	root, free := u64(head[pageHeader+16:]), u64(head[pageHeader+32:]) // the page's checksum was found right
	if err := p.tree(root, maxLevels, true); err != nil {
		return err
	}
	return p.freeList(free)
}

// read reads a page and marks what it takes as used.
func (p *pages) read(id uint64) ([]byte, error) {
	if id < 2 || id >= uint64(len(p.used)) {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	head := make([]byte, pageHeader)
	if _, err := p.file.ReadAt(head, int64(id)*int64(p.size)); err != nil {
		return nil, err
	}
	more := u32(head[12:])
	if u64(head) != id || uint64(more) >= uint64(len(p.used))-id {
		return nil, fmt.Errorf("page %d is damaged", id)
	}
	for i := id; i <= id+uint64(more); i++ {
		if p.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		p.used[i] = true
	}
	page := make([]byte, (1+more)*p.size)
	_, err := p.file.ReadAt(page, int64(id)*int64(p.size))
	return page, err
}

// tree checks the pages of a bucket.
func (p *pages) tree(id uint64, levels int, root bool) error {
	page, err := p.read(id)
	if err != nil {
		return err
	}
	if u16(page[8:]) == leafPage {
		return p.leaf(page, root)
	}
	if u16(page[8:]) != branchPage || levels == 0 || u16(page[10:]) == 0 {
		return fmt.Errorf("page %d is damaged", id)
	}
	return eachElement(page, func(e []byte) ([]byte, error) {
		key, err := slice(e, u32(e), u32(e[4:]))
		if err != nil {
			return nil, err
		}
		return key, p.tree(u64(e[8:]), levels-1, root)
	})
}

// leaf checks the elements of a leaf; buckets are only in the root.
func (p *pages) leaf(page []byte, root bool) error {
	return eachElement(page, func(e []byte) ([]byte, error) {
		flags, size := u32(e), u32(e[8:])
		key, err := slice(e, u32(e[4:]), size)
		if err != nil {
			return nil, err
		}
		value, err := slice(e, u32(e[4:])+size, u32(e[12:]))
		if err != nil || flags == 0 {
			return key, err
		}
		if flags != bucketEntry || !root || len(value) < bucketSize {
			return nil, errDamaged
		}
		if top := u64(value); top != 0 {
			return key, p.tree(top, maxLevels, false)
		}
		inside := value[bucketSize:]
		if len(inside) < pageHeader || u16(inside[8:]) != leafPage {
			return nil, errDamaged
		}
		return key, p.leaf(inside, false)
	})
}

var errDamaged = errors.New("an element of a page is damaged")

// eachElement calls f with each element and what follows it, and compares the keys,
// which ascend.
func eachElement(page []byte, f func(e []byte) (key []byte, err error)) error {
	var before []byte
	for i := range u16(page[10:]) {
		at := pageHeader + i*element
		if at+element > len(page) {
			return errDamaged
		}
		key, err := f(page[at:])
		if err != nil {
			return err
		}
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return errDamaged
		}
		before = key
	}
	return nil
}

// slice is b[from:from+size], if that is there.
func slice(b []byte, from, size int) ([]byte, error) {
	if from < element || from > len(b) || size < 0 || size > len(b)-from {
		return nil, errDamaged
	}
	return b[from : from+size], nil
}

// freeList checks that what is listed as free is not in use.
func (p *pages) freeList(id uint64) error {
	if id == noFreeList {
		return nil
	}
	page, err := p.read(id)
	if err != nil {
		return err
	}
	n, ids := uint64(u16(page[10:])), page[pageHeader:]
	if n == 0xffff { // then the number stands first
		n, ids = u64(ids), ids[8:]
	}
	if u16(page[8:]) != freePage || n > uint64(len(ids)/8) {
		return errors.New("the list of free pages is damaged")
	}
	for i := range n {
		free := u64(ids[8*i:])
		if free < 2 || free >= uint64(len(p.used)) || p.used[free] {
			return fmt.Errorf("page %d is listed as free", free)
		}
		p.used[free] = true
	}
	return nil
}
