package main

import (
	"bytes"
	"os/exec"
	"testing"
	"testing/synctest"
)

const want = `1. A breaker
   it is sunny
   it is sunny
   failed: weather service is down
   failed: weather service is down
   failed: weather service is down
   refused, the service was not asked
   refused, the service was not asked
   5 of 7 calls reached the service. The breaker is open.

2. A probe
   The service is well again, and the breaker closed.

3. A protected function, with a fallback
   it is unknown (weather service is down)
   it is unknown (weather service is down)
   it is unknown (weather service is down)
   it is unknown (weather service is down)
   it is unknown (weather service is down)
   it is unknown (not asked)

4. Statistics
   calls 5, failures 5, refused 1
   the last error: weather service is down
   closed to open: consecutive failures (5)
   healthy: false
   - 0 % of all calls succeeded, at least 80 % should
   - 100 % of the calls failed lately, less than 20 % should
`

func TestWhatIsPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if err := run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("printed\n%s", out.String())
		}
	})
}

// The program ends by itself, and well.
func TestProgram(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", ".").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("4. Statistics")) {
		t.Errorf("%v\n%s", err, out)
	}
}
