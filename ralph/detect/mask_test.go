package detect

import (
	"strings"
	"testing"
)

func outcomeOf(s string) uint64 { t := text{h: seed}; t.add(s, numbers); return t.h }

func TestMaskedInArguments(t *testing.T) {
	for name, pair := range map[string][2]string{
		"uuid":          {"get 123e4567-e89b-12d3-a456-426614174000 now", "get 99999999-ABCD-12d3-a456-426614174999 now"},
		"hex":           {"show deadbeef1", "show 0a1b2c3d4e5f"},
		"0x":            {"at 0x1f", "at 0xDEADBEEF"},
		"timestamp":     {"since 2024-05-15T15:00:00Z", "since 2025-11-01T01:02:03.456+02:00"},
		"date and time": {"since 2024-05-15 15:00", "since 2024-05-16 09:30"},
		"compact":       {"log-20240515T150000Z", "log-20240516T111213Z"},
		"clock":         {"at 15:00:01", "at 23:59:59.125"},
		"duration":      {"sleep 30s", "sleep 1m30s"},
		"fraction":      {"sleep 1.5s", "sleep 22.75ms"},
		"port":          {"curl localhost:8080/x", "curl localhost:91/x"},
		"port of ip":    {"curl 127.0.0.1:8080", "curl 127.0.0.1:8081"},
		"port of url":   {"curl http://api.test:8080/x", "curl http://api.test:8081/x"},
		"port of ipv6":  {"curl [::1]:8080", "curl [::1]:9090"},
		"temporary":     {"python /tmp/a1.py", "python /tmp/tmp.X9.py"},
		"temporary dir": {"cat /tmp/a/main.go", "cat /tmp/b/main.go"},
	} {
		for form, f := range map[string]func(string) string{
			"text": func(s string) string { return s },
			"json": func(s string) string { return `{"cmd":"` + s + `","n":1}` },
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				if keyOf("sh", f(pair[0])) != keyOf("sh", f(pair[1])) {
					t.Errorf("%q and %q differ", f(pair[0]), f(pair[1]))
				}
			})
		}
	}
}

func TestKeptInArguments(t *testing.T) {
	for name, pair := range map[string][2]string{
		"number":          {"calculate 1 + 2", "calculate 1 + 3"},
		"long number":     {"order 12345678", "order 12345679"},
		"date":            {"flights on 2024-05-15", "flights on 2024-05-16"},
		"line":            {"edit main.go:120", "edit main.go:130"},
		"lines":           {"edit 10:12", "edit 13:15"},
		"word":            {"show defaced", "show effaced"},
		"short hex":       {"show 1a2b3c", "show 1a2b3d"},
		"below temporary": {"cat /tmp/a/main.go", "cat /tmp/a/util.go"},
		"other tmp":       {"cat x/tmp/main.go", "cat x/tmp/util.go"},
		"id alone":        {`{"id":"123e4567-e89b-12d3-a456-426614174000","force":true}`, `{"id":"99999999-e89b-12d3-a456-426614174000","force":true}`},
		"list":            {`[1,2]`, `[2,1]`},
		"kinds":           {`{"a":"1"}`, `{"a":1}`},
		"nesting":         {`{"a":{"b":1},"c":2}`, `{"a":{"b":2},"c":1}`},
		"tail":            {strings.Repeat("x", 9000) + "a", strings.Repeat("x", 9000) + "b"},
		"length":          {strings.Repeat("x", 9000), strings.Repeat("x", 9001)},
		"keys":            {`{"a":1}`, `{"b":1}`},
		"empty":           {`{}`, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			if keyOf("sh", pair[0]) == keyOf("sh", pair[1]) {
				t.Errorf("%.80q and %.80q are equal", pair[0], pair[1])
			}
		})
	}
	if keyOf("a", "x") == keyOf("b", "x") {
		t.Error("the tool does not count")
	}
}

func TestOrderOfKeysAndSpaceDoNotMatter(t *testing.T) {
	a := `{"path":"x.go","range":{"from":1,"to":[2,3]},"s":"a\"}b"}`
	b := " {\n\"s\": \"a\\\"}b\", \"range\" :{\"to\":[ 2,3 ],\"from\":1},\"path\":\"x.go\"} "
	if keyOf("t", a) != keyOf("t", b) {
		t.Error("differ")
	}
	if keyOf("t", `{"a":"x","b":"y"}`) == keyOf("t", `{"a":"y","b":"x"}`) {
		t.Error("values may not change places")
	}
}

func TestMaskedInOutcomes(t *testing.T) {
	same := [][2]string{
		{"3 failed, 120 passed in 4.12s", "17 failed, 9 passed in 12.1s"},
		{"item42 at 2024-05-15", "item7 at 2025-01-01"},
		{"main.go:12:3: undefined", "main.go:340:19: undefined"},
		{"listening on :8080", "listening on :31337"},
		{"id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-e89b-12d3-a456-42661417400f"},
		{strings.Repeat("x", 5000) + "123456789" + strings.Repeat("y", 5000), strings.Repeat("x", 5000) + "1" + strings.Repeat("y", 5000)},
	}
	for _, p := range same {
		if outcomeOf(p[0]) != outcomeOf(p[1]) {
			t.Errorf("%.60q and %.60q differ", p[0], p[1])
		}
	}
	if outcomeOf("found a") == outcomeOf("found b") {
		t.Error("words are masked")
	}
}

func TestNear(t *testing.T) {
	of := func(s string) *gist { g := gistOf(s); return &g }
	sim := func(s string) *similar { k := similarOf(s); return &k }
	again := "Please continue to search for the historical members of the board around the date of the offering by browsing older news"
	for _, s := range []string{
		"Please continue searching for the historical members of the board around the date of the offering by browsing older news articles",
		strings.ToUpper(again), again + " /tmp/x1",
	} {
		if !of(again).near(of(s)) || !sim(again).near(sim(s)) {
			t.Errorf("not near: %q", s)
		}
	}
	if !of("Make a list of the members of the board of the year before").near(of("Of the year before, make a list of members of the board")) {
		t.Error("the order of words does not matter")
	}
	preamble := strings.Repeat("you are a careful assistant who answers in full sentences and names the sources ", 20)
	for _, p := range [][2]string{
		{"Summarise document 1 and report back the key findings", "Summarise document 22 and report back the key findings"},
		{"Find the population of Paris and report back", "Find the population of New York City and report back"},
		{"Translate chapter 3, pages 40 to 58, into German", "Translate chapter 4, pages 58 to 71, into German"},
		{"Write a test for the function foo in the file bar.go", "Write a test for the function baz in the file qux.go"},
		{preamble + "Find the population of Paris", preamble + "Who has written the odes of Solomon"},
		{"Find the population of Paris." + preamble, "Find the area of Rome in acres." + preamble},
		{preamble + "Paris" + preamble, preamble + "Rome" + preamble},
	} {
		if of(p[0]).near(of(p[1])) {
			t.Errorf("not seen as items of a batch: %.100q", p)
		}
	}
	if of("go on").near(of("go back")) || !of("go on").near(of("Go on!")) {
		t.Error("few words must be the same")
	}
	if of("").near(of("")) || of("...").near(of("...")) || sim("").near(sim("")) {
		t.Error("nothing is near to nothing")
	}
	// Nothing in common but few words, and a similarity hash that is near by chance.
	luck := [2]string{
		"fileywirjdb wants filenyjrpxh because filegiticlm knows filedalrvro and filexjuiift",
		"fileincfrfd wants filefjrjqnw because filemgbehkjb knows filedfgopvpb and filelcqigscc",
	}
	if sim(luck[0]).near(sim(luck[1])) || of(luck[0]).near(of(luck[1])) {
		t.Error("near by chance")
	}
	a, b := "Read the config file and list its keys", "Run the whole test suite under the race detector"
	if of(a).near(of(b)) || sim(a).near(sim(b)) {
		t.Error("all is near")
	}
	if !of("请继续搜索历史成员名单并报告").near(of("请继续搜索历史成员的名单并报告")) {
		t.Error("scripts without spaces")
	}
	if !of(preamble+"a b").near(of(preamble+"a b")) || !of(preamble+"now, a b").near(of(preamble+"a b now please")) {
		t.Error("long texts")
	}
}

func keyOf(tool, args string) uint64 {
	key, _ := callKey(tool, args)
	return key
}
