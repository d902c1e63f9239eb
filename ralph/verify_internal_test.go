package ralph

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

const testPage = 256

// pageOf makes a page with that header, and elements with their keys and values.
func pageOf(id uint64, flags, count uint16, more uint32) []byte {
	p := make([]byte, testPage*(1+int(more)))
	binary.NativeEndian.PutUint64(p, id)
	binary.NativeEndian.PutUint16(p[8:], flags)
	binary.NativeEndian.PutUint16(p[10:], count)
	binary.NativeEndian.PutUint32(p[12:], more)
	return p
}

type entry struct {
	flags      uint32
	key, value string
}

func leafOf(p []byte, entries ...entry) []byte {
	at := pageHeader + len(entries)*element
	for i, e := range entries {
		head := p[pageHeader+i*element:]
		binary.NativeEndian.PutUint32(head, e.flags)
		binary.NativeEndian.PutUint32(head[4:], uint32(at-pageHeader-i*element))
		binary.NativeEndian.PutUint32(head[8:], uint32(len(e.key)))
		binary.NativeEndian.PutUint32(head[12:], uint32(len(e.value)))
		at += copy(p[at:], e.key)
		at += copy(p[at:], e.value)
	}
	return p
}

func branchOf(p []byte, to map[string]uint64, keys ...string) []byte {
	at := pageHeader + len(keys)*element
	for i, key := range keys {
		head := p[pageHeader+i*element:]
		binary.NativeEndian.PutUint32(head, uint32(at-pageHeader-i*element))
		binary.NativeEndian.PutUint32(head[4:], uint32(len(key)))
		binary.NativeEndian.PutUint64(head[8:], to[key])
		at += copy(p[at:], key)
	}
	return p
}

func bucket(root uint64) string {
	return string(binary.NativeEndian.AppendUint64(nil, root)) + "sequence"
}

// inline is a bucket whose page is in its value.
func inline(entries ...entry) string {
	return bucket(0) + string(leafOf(pageOf(0, leafPage, uint16(len(entries)), 0), entries...))
}

// meta is a meta page, for verify, which believes it.
func meta(root, free uint64) []byte {
	p := pageOf(0, 4, 0, 0)
	binary.NativeEndian.PutUint64(p[pageHeader+16:], root)
	binary.NativeEndian.PutUint64(p[pageHeader+32:], free)
	return p
}

// list is a page that lists free ones.
func list(id uint64, free ...uint64) []byte {
	p := pageOf(id, freePage, uint16(len(free)), 0)
	for i, one := range free {
		binary.NativeEndian.PutUint64(p[pageHeader+8*i:], one)
	}
	return p
}

// sound is a file in which there is everything: 0 and 1 are meta, 2 is the root with a
// bucket within and one whose root is 3; that branches to 4, and to 5 and 6, which are
// one; 7 lists 8 as free.
func sound() [][]byte {
	return [][]byte{
		meta(2, 7), meta(2, 7),
		leafOf(pageOf(2, leafPage, 2, 0), entry{1, "a", bucket(3)}, entry{1, "b", inline(entry{0, "k", "v"})[:len(inline())-100]}),
		branchOf(pageOf(3, branchPage, 2, 0), map[string]uint64{"c": 4, "e": 5}, "c", "e"),
		leafOf(pageOf(4, leafPage, 2, 0), entry{0, "c", "1"}, entry{0, "d", ""}),
		leafOf(pageOf(5, leafPage, 1, 1), entry{0, "e", strings.Repeat("x", testPage)}), nil,
		list(7, 8), make([]byte, testPage),
	}
}

func check(pages [][]byte, count int) error {
	return verify(bytes.NewReader(bytes.Join(pages, nil)), testPage, 1, count)
}

func TestVerify(t *testing.T) {
	if err := check(sound(), 9); err != nil {
		t.Fatal(err)
	}
	put := binary.NativeEndian
	for name, c := range map[string]struct {
		change func(p [][]byte)
		count  int // of pages; 0 for 9
		want   string
	}{
		"a root that is meta":            {func(p [][]byte) { p[1] = meta(1, 7) }, 0, "there is no page 1"},
		"a root past the end":            {func(p [][]byte) { p[1] = meta(9, 7) }, 0, "there is no page 9"},
		"fewer pages than there are":     {func([][]byte) {}, 6, "page 5 is damaged"},
		"fewer pages, the list is not":   {func([][]byte) {}, 7, "there is no page 7"},
		"a page that is another":         {func(p [][]byte) { put.PutUint64(p[4], 5) }, 0, "page 4 is damaged"},
		"a page longer than the file":    {func(p [][]byte) { put.PutUint32(p[4][12:], 5) }, 0, "page 4 is damaged"},
		"a page as long as the file":     {func(p [][]byte) { put.PutUint32(p[4][12:], 4) }, 0, "page 5 is used twice"},
		"a page that covers another":     {func(p [][]byte) { put.PutUint32(p[4][12:], 1) }, 0, "page 5 is used twice"},
		"a page of no sort":              {func(p [][]byte) { put.PutUint16(p[4][8:], 8) }, 0, "page 4 is damaged"},
		"a free page in the tree":        {func(p [][]byte) { put.PutUint16(p[4][8:], freePage) }, 0, "page 4 is damaged"},
		"a branch to nothing":            {func(p [][]byte) { put.PutUint16(p[3][10:], 0) }, 0, "page 3 is damaged"},
		"a branch to itself":             {func(p [][]byte) { branchOf(p[3], map[string]uint64{"c": 3, "e": 5}, "c", "e") }, 0, "page 3 is used twice"},
		"a branch twice to one":          {func(p [][]byte) { branchOf(p[3], map[string]uint64{"c": 4, "e": 4}, "c", "e") }, 0, "page 4 is used twice"},
		"keys of a branch that descend":  {func(p [][]byte) { branchOf(p[3], map[string]uint64{"c": 5, "e": 4}, "e", "c") }, 0, "element"},
		"keys of a leaf that descend":    {func(p [][]byte) { leafOf(p[4], entry{0, "d", "1"}, entry{0, "c", "2"}) }, 0, "element"},
		"keys of a leaf that are one":    {func(p [][]byte) { leafOf(p[4], entry{0, "c", "1"}, entry{0, "c", "2"}) }, 0, "element"},
		"too many elements":              {func(p [][]byte) { put.PutUint16(p[4][10:], 16) }, 0, "element"},
		"many too many elements":         {func(p [][]byte) { put.PutUint16(p[4][10:], 65535) }, 0, "element"},
		"a key before its element":       {func(p [][]byte) { put.PutUint32(p[4][pageHeader+4:], element-1) }, 0, "element"},
		"a key past the page":            {func(p [][]byte) { put.PutUint32(p[4][pageHeader+4:], testPage-pageHeader+1) }, 0, "element"},
		"a key that ends past the page":  {func(p [][]byte) { put.PutUint32(p[4][pageHeader+8:], testPage) }, 0, "element"},
		"a value that ends past it":      {func(p [][]byte) { put.PutUint32(p[4][pageHeader+12:], testPage) }, 0, "element"},
		"a value of a huge size":         {func(p [][]byte) { put.PutUint32(p[4][pageHeader+12:], 1<<32-1) }, 0, "element"},
		"a key of a branch past it":      {func(p [][]byte) { put.PutUint32(p[3][pageHeader+4:], testPage) }, 0, "element"},
		"a bucket below the root":        {func(p [][]byte) { leafOf(p[4], entry{1, "c", bucket(0)}, entry{0, "d", ""}) }, 0, "element"},
		"an entry of no sort":            {func(p [][]byte) { put.PutUint32(p[2][pageHeader:], 2) }, 0, "element"},
		"a bucket that is cut":           {func(p [][]byte) { put.PutUint32(p[2][pageHeader+12:], bucketSize-1) }, 0, "element"},
		"a bucket within that is cut":    {func(p [][]byte) { put.PutUint32(p[2][pageHeader+element+12:], bucketSize+pageHeader-1) }, 0, "element"},
		"a bucket within of no sort":     {func(p [][]byte) { put.PutUint16(p[2][inlineAt(p[2])+8:], 1) }, 0, "element"},
		"elements within past its end":   {func(p [][]byte) { put.PutUint16(p[2][inlineAt(p[2])+10:], 16) }, 0, "element"},
		"a list of no sort":              {func(p [][]byte) { put.PutUint16(p[7][8:], leafPage) }, 0, "list of free pages is damaged"},
		"a list longer than its page":    {func(p [][]byte) { put.PutUint16(p[7][10:], (testPage-pageHeader)/8+1) }, 0, "list of free pages is damaged"},
		"a list that fills its page":     {func(p [][]byte) { put.PutUint16(p[7][10:], (testPage-pageHeader)/8) }, 0, "page 0 is listed as free"},
		"a page in use is free":          {func(p [][]byte) { p[7] = list(7, 4) }, 0, "page 4 is listed as free"},
		"the second page of one is free": {func(p [][]byte) { p[7] = list(7, 6) }, 0, "page 6 is listed as free"},
		"the list itself is free":        {func(p [][]byte) { p[7] = list(7, 7) }, 0, "page 7 is listed as free"},
		"a meta page is free":            {func(p [][]byte) { p[7] = list(7, 1) }, 0, "page 1 is listed as free"},
		"a page that is free twice":      {func(p [][]byte) { p[7] = list(7, 8, 8) }, 0, "page 8 is listed as free"},
		"a page past the end is free":    {func(p [][]byte) { p[7] = list(7, 8, 9) }, 0, "page 9 is listed as free"},
		"the list is in the tree":        {func(p [][]byte) { p[1] = meta(2, 4) }, 0, "page 4 is used twice"},
	} {
		t.Run(name, func(t *testing.T) {
			p := sound()
			c.change(p)
			if c.count == 0 {
				c.count = 9
			}
			if err := check(p, c.count); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
	for name, change := range map[string]func(p [][]byte){
		"no list":              func(p [][]byte) { p[1] = meta(2, noFreeList) },
		"an empty list":        func(p [][]byte) { p[7] = list(7) },
		"an empty bucket":      func(p [][]byte) { put.PutUint16(p[4][10:], 0) },
		"the first meta page":  func(p [][]byte) { p[0] = meta(99, 99) },
		"a long list's number": func(p [][]byte) { p[7] = list(7, 1, 8); put.PutUint16(p[7][10:], 0xffff) },
		"a bucket, just so": func(p [][]byte) {
			put.PutUint32(p[2][pageHeader+element+12:], bucketSize+pageHeader)
			put.PutUint16(p[2][inlineAt(p[2])+10:], 0)
		},
		"a key that ends there": func(p [][]byte) { put.PutUint32(p[4][pageHeader+element+8:], 1) },
	} {
		p := sound()
		change(p)
		if err := check(p, 9); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for cut := 1; cut < 9*testPage; cut += 37 { // a file that ends too early
		whole := bytes.Join(sound(), nil)
		if cut > len(whole)-testPage { // the free page
			break
		}
		if err := verify(bytes.NewReader(whole[:cut]), testPage, 1, 9); err == nil {
			t.Errorf("%d bytes of %d are taken", cut, len(whole))
		}
	}
}

// inlineAt is where the page of the bucket "b" begins in the root.
func inlineAt(root []byte) int {
	e := pageHeader + element
	return e + u32(root[e+4:]) + u32(root[e+8:]) + bucketSize
}

// TestVerifyDepth: branches may not be deeper than any sound file's.
func TestVerifyDepth(t *testing.T) {
	for depth, want := range map[int]string{maxLevels: "", maxLevels + 1: "is damaged"} {
		pages := [][]byte{meta(2, noFreeList), meta(2, noFreeList)}
		for i := range depth {
			pages = append(pages, branchOf(pageOf(uint64(2+i), branchPage, 1, 0), map[string]uint64{"a": uint64(3 + i)}, "a"))
		}
		pages = append(pages, leafOf(pageOf(uint64(2+depth), leafPage, 1, 0), entry{0, "a", "b"}))
		err := check(pages, len(pages))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d levels: %v, want %q", depth, err, want)
		}
	}
}
