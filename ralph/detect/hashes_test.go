package detect

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/ralph/internal/transcripttest"
)

// texts are what agents call tools with and what comes back, each with something that
// may be masked, or nearly.
func texts() []string {
	const id = "123e4567-e89b-12d3-a456-426614174000"
	all := []string{
		"", " ", "x", "X", "12", "a1", "1a", "-1", "é1", "1é",
		id, "get " + id, id[:35], id + "0", id + " x", "x" + id, "x-" + id, "{" + id + "}", strings.ToUpper(id), "abcdefab-abcd-abcd-abcd-abcdefabcdef", "see abcdefab-abcd-abcd-abcd-abcdefabcde1 now",
		"abcdefab-abcd-abcd-abcd-abcdefabcdeg", "zabcdefab-abcd-abcd-abcd-abcdefabcd12", "abcdefab_abcd_abcd_abcd_abcdefabcde1", "abcdefab-abc1-abcd-abcd-abcdefabcdef", "abcdefab-abcd-abc1-abcd-abcdefabcdef", "abcdefab-abcd-abcd-abc1-abcdefabcdef",
		"-abcd1", "x-abcdefab1", "abcdef1", "abcde1", "abcdefg1", "1234567", "123456a", "12345a", "0x1", "0x", "0X1f", "0xfg", "0x1fz", "00x1", "deadbeef", "deadbee1",
		"2024-05-15", "2024/05/15", "2024-05-1", "2024-05-15T15:00", "2024-05-15t15:00:00", "2024-05-15 15:00:00.5", "2024-05-15 15:00:00,25Z", "2024-05-15T15:00:00z", "2024-05-15T15:00+02:00", "2024-05-15T15:00-0200", "2024-05-15T1500", "2024-05-15x", "2024-05-15T", "2024-05-15 now", "2024/05-15", "12024-05-15",
		"20240515T150000", "20240515T150000Z", "20240515T150000x", "20240515T15000", "20240515T150000Zx", "15:00:01", "15:00", "15:00:1", "5:00:01", "115:00:01", "15:00:01.x", "15:00:01.125", "15:00:01Z", "15:00:01+01:00 x",
		"30s", "30", "30 s", "1.5s", "1.s", "1..5s", "250ms", "250us", "250µs", "250ns", "3min", "3sec", "3m", "3h", "3d", "1h2m3s", "1h2m3", "1h2x", "1hx", "1.5.5s", "12m30.25s", "30sx", "7msx",
		"localhost:8080", "localhost:8", "localhost:80", "localhost:80800", "localhost:808000", "localhost:80a", "xlocalhost:8080", "local:8080", "127.0.0.1:8080", "127.0.0:8080", "1.2.3.4.5:8080", "127.0.0.a:8080", "[::1]:8080", "http://a:8080", "http://a.b-c:8080/x", "://a:8080", "x://:8080", "file.go:8080", ":8080", "a:80", "p//a:8080",
		"/tmp/a", "/tmp/", "/tmp", "/tmp/a.b-c_d", "/tmp/a/b", "x/tmp/a", "/x/tmp/a", "//tmp/a", "/var/folders/ab/c", "/var/folders/", "/var/folder/a", "/tmp/é", "cat /tmp/a1 /tmp/b2", "/tmp/a1:", "9/tmp/a",
		"main.go:12:3: undefined", "item42", "item42b7", "4x", "x4y5z", "v1.2.3", "1,234.5", "#12", "50%", "a/1/b", "/1", "1/2", "é/3",
		"Please look at the file main.go, line 12, and tell me what is wrong there", "please LOOK at the file main.go line 13 and tell me what is wrong there!", "请继续搜索历史成员名单并报告 12 号", "日本", "⺀⻿", "\u2e7f\u2e80", "\xff\xfe\xfd", "a\xffb", "naïve café", "one two three", "one two three four", "one two three four five",
		strings.Repeat("word ", 300), strings.Repeat("word ", 300) + "end", strings.Repeat("a b c d e f g h ", 64), strings.Repeat("0123456789 ", 500),
	}
	for _, n := range []int{7, 8, 9, 15, 16, 17, 399, 400, 401, 1023, 1024, 1025, 1026, 2048, 4095, 4096, 4097, 4098, 8191, 8192, 8193, 16383, 16384, 16385, 16388, 33000} {
		all = append(all, strings.Repeat("x", n), strings.Repeat("ab ", n/3)+"7"+strings.Repeat(" cd", n/3), `{"a":"`+strings.Repeat("y", n)+`"}`)
	}
	for _, n := range []int{250, 251, 252, 253, 254, 255, 256, 257} { // a host is 255 bytes at most
		all = append(all, "http://"+strings.Repeat("h", n)+":8080", strings.Repeat("h", n)+":8080")
	}
	for _, n := range []int{3, 4, 5, 31, 32, 33, 63, 64, 65, 66, 95, 96, 97, 255, 256, 257, 258, 600} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%c%c%c ", 'a'+i%26, 'a'+i/26%26, 'a'+i*7%26)
		}
		all = append(all, b.String())
	}
	for _, n := range []int{1, 2, 63, 64, 65, 66} {
		all = append(all, strings.Repeat("[", n)+strings.Repeat("]", n), strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n), strings.Repeat("[", n))
	}
	return append(all,
		`{}`, `[]`, `{ }`, `[ ]`, `{"a":1}`, `{"a" : 1 }`, ` {"a":1} `, `{"a":1}x`, `{"a":1,"b":2}`, `{"b":2,"a":1}`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":}`, `{"a"}`, `{a:1}`, `{"a":1`, `{"a`, `{"a\"b":"c\\"}`, `{"a\\":"c"}`, `{"a":"\\\""}`, `"\""`, `"\\"`, `"`, `"a"x`,
		`[1,2]`, `[2,1]`, `[1 2]`, `[1,]`, `[,1]`, `[1`, `1`, `-1`, `-`, `-a`, `1.5e+7`, `+1`, `true`, `false`, `null`, `nul`, `tru`, `{"a":true,"b":[null,false]}`, `{"a":nothing}`, `{"n":12,"id":"`+id+`"}`, `{"id":"`+id+`"}`, `{"at":"2024-05-15T15:00:00Z","path":"/tmp/a/b"}`, "{\"a\":\t1,\r\n\"b\":2}", "\t\n\r [1]", `{"a":1}`+"\x00", "\x00",
	)
}

// TestTextsAreToldApartAsTheyWere: by the same hashes, which are in what was saved.
func TestTextsAreToldApartAsTheyWere(t *testing.T) {
	var all bytes.Buffer
	known := make(map[string]int) // the same hash by another text
	named := func(kind string, h uint64) string {
		key := fmt.Sprintf("%s%x", kind, h)
		if _, ok := known[key]; !ok {
			known[key] = len(known)
		}
		return fmt.Sprintf("%s%d", kind, known[key])
	}
	sum := uint64(seed)
	for i, s := range texts() {
		key, exact := callKey("sh", s)
		args, out := text{h: seed}, text{h: seed}
		args.add(s, ids)
		out.add(s, numbers)
		g, k := gistOf(s), similarOf(s)
		for _, h := range []uint64{key, exact, args.h, out.h, g.Exact, k.Bits, k.Bag} {
			sum = mix(sum, h)
		}
		for _, w := range g.Kept {
			sum = mix(sum, uint64(w))
		}
		shown := fmt.Sprintf("%q", s)
		if len(shown) > 60 {
			shown = fmt.Sprintf("%.40s… (%d)", shown, len(s))
		}
		fmt.Fprintf(&all, "%3d %s %s %s %s %v %v %s %d %s %x\n", i, named("call", key), named("exact", exact), named("args", args.h), named("out", out.h), out.masked, out.letters,
			named("gist", g.Exact), g.Words, shown, sum)
	}
	transcripttest.Compare(t, "texts.txt", all.Bytes())
}

// TestTextsAreNearAsTheyWere compares each text with those around it.
func TestTextsAreNearAsTheyWere(t *testing.T) {
	all := texts()
	words := func(from, to int, more string) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "%c%c%c ", 'a'+i%26, 'a'+i/26%26, 'a'+i*7%26)
		}
		return b.String() + more
	}
	for _, n := range []int{5, 10, 20, 32, 40, 64, 70, 100, 200} {
		for _, cut := range []int{1, 2, n / 4, n/3 + 1, n / 2} {
			all = append(all, words(0, n, ""), words(0, n-cut, ""), words(cut, n, ""), words(0, n-cut, words(700, 700+cut, "")), words(900, 900+cut, words(cut, n, "")),
				words(0, n/2, "12 "+words(n/2, n, "")), words(0, n/2, "13 "+words(n/2, n, "")), words(0, n/2, words(n/2+cut, n, "")))
		}
	}
	var out bytes.Buffer
	for i, s := range all {
		g, k := gistOf(s), similarOf(s)
		var near, alike, numbered, share []string
		for j := max(i-8, 0); j <= i; j++ {
			h, l := gistOf(all[j]), similarOf(all[j])
			if g.near(&h) != h.near(&g) {
				t.Errorf("%d is near to %d, and not the other way round", i, j)
			}
			if g.near(&h) {
				near = append(near, fmt.Sprint(j))
			}
			if k.near(&l) {
				alike = append(alike, fmt.Sprint(j))
			}
			if g.numbered(&h) {
				numbered = append(numbered, fmt.Sprint(j))
			}
			if j >= i-2 {
				share = append(share, fmt.Sprintf("%.2f", common(g.kept(), h.kept())))
			}
		}
		fmt.Fprintf(&out, "%d near %s alike %s numbered %s common %s\n", i, near, alike, numbered, share)
	}
	transcripttest.Compare(t, "near.txt", out.Bytes())
}
