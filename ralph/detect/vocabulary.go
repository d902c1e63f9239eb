package detect

// Some words say what a call is about. They are looked for in calls that repeat
// themselves alone, and in short texts.

const maxStatus = 600 // bytes; a longer outcome is no report of a state

// waiting are words of a thing that is not ready yet.
//
//nolint:gochecknoglobals // a constant table
var waiting = wordSet("pending", "running", "queued", "waiting", "wait", "progress", "in_progress", "inprogress", "processing", "building", "deploying",
	"starting", "started", "initializing", "initialising", "provisioning", "creating", "scheduled", "scheduling", "active", "busy", "loading", "downloading",
	"uploading", "compiling", "syncing", "unfinished", "incomplete", "eta", "pulling", "installing", "unhealthy", "notready", "yet", "still", "updating", "retrying",
	"containercreating", "pausing", "stopping", "draining", "replicating", "indexing", "training", "working", "ongoing", "remaining", "elapsed")

// asking are words of a call that waits.
//
//nolint:gochecknoglobals // a constant table
var asking = wordSet("sleep", "wait", "poll", "status", "watch", "heartbeat", "await", "ping", "healthz", "health", "is_ready", "get_status", "check_status", "wait_for", "job_status", "ready")

// acting are words of a tool that does something, and does not ask: "queued" is then how
// that has ended.
//
//nolint:gochecknoglobals // a constant table
var acting = wordSet("send", "post", "publish", "submit", "create", "write", "edit", "delete", "send_message", "send_email", "enqueue")

// nothing are words of an outcome that has found nothing.
//
//nolint:gochecknoglobals // a constant table
var nothing = wordSet("no", "not", "none", "nothing", "empty", "null", "nil", "without", "zero", "unable", "cannot", "couldn", "n/a", "missing")

// seeking are words of a call that searches.
//
//nolint:gochecknoglobals // a constant table
var seeking = wordSet("search", "find", "grep", "rg", "query", "lookup", "select", "glob", "retrieve", "fetch", "browse", "ls", "ag", "google", "web_search", "websearch", "find_file", "search_file", "search_dir", "code_search", "search_code")

func wordSet(words ...string) map[string]struct{} {
	set := make(map[string]struct{}, len(words))
	for _, w := range words {
		set[w] = struct{}{}
	}
	return set
}

// hasWord reports whether s has one of the words, whatever their case. Words may have an
// underscore in them. It allocates nothing.
func hasWord(s string, set map[string]struct{}) bool {
	var word [20]byte
	n := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (isWord(s[i]) || s[i] == '_') {
			c := s[i]
			if c-'A' <= 'Z'-'A' {
				c |= 0x20
			}
			word[min(n, len(word)-1)] = c
			n++
			continue
		}
		if n > 0 && n < len(word) {
			if _, ok := set[string(word[:n])]; ok {
				return true
			}
		}
		n = 0
	}
	return false
}

// saysWait reports whether a call asks for, or is told of, something that is not ready.
func saysWait(s *Step) bool {
	out := textOf(s.Output, s.OutputBytes)
	args := textOf(s.Args, s.ArgsBytes)
	return !hasWord(s.Tool, acting) && (len(out) <= maxStatus && hasWord(out, waiting) || hasWord(s.Tool, asking) || hasWord(args[:min(len(args), maxStatus)], asking))
}

// foundNothing reports whether a call has searched and found nothing.
func foundNothing(s *Step) bool {
	out := textOf(s.Output, s.OutputBytes)
	if out == "" {
		out = s.Err
	}
	const most = 300
	if len(out) > most {
		return false
	}
	if hasWord(out, nothing) {
		return true
	}
	args := textOf(s.Args, s.ArgsBytes)
	return isBlank(out) && (hasWord(s.Tool, seeking) || hasWord(args[:min(len(args), most)], seeking))
}

// isBlank reports whether a text has no word in it but zero: "", "[]", "0".
func isBlank(s string) bool {
	for i := range len(s) {
		if isWord(s[i]) && s[i] != '0' {
			return false
		}
	}
	return true
}
