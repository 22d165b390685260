package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every refusal that was recorded on 5.1.2 and 4.16.1, and what it means.
func TestClassify_RecordedRefusals(t *testing.T) {
	tests := []struct {
		status  int
		message string
		kind    ErrorKind
	}{
		{401, "Unable to authenticate with the provided token. It is either invalid or expired.", BadToken},
		{401, "Unable to authenticate with the provided token. It is either invalid, expired or is required to be sent as a POST parameter.", BadToken},
		{200, "You can&#039;t access this resource as it requires view access for at least one website.", NoPermission},
		{401, "You can't access this resource as it requires a 'superuser' access.", NoPermission},
		{200, "You must be logged in to access this functionality.", NoPermission},
		{200, "The user has to be either a Super User or the user 'alice' itself.", NoPermission},
		{0, "Please enter your password to confirm this change.", NeedsPassword},
		{0, "The current password you entered is not correct.", WrongPassword},
		{500, "Too many failed logins. Please wait and try logging in again later.", LockedOut},
		{401, "You cannot use this Matomo as your IP 127.0.0.1 is not allowed.", IPRefused},
		{0, "Creating, updating, and deleting users has been disabled.", UsersDisabled},
		{0, `The method 'nope' does not exist or is not available in the module '\Piwik\Plugins\UsersManager\API'.`, UnknownMethod},
		{0, "The plugin NoSuchPlugin is not enabled. You can activate the plugin on Settings &gt; Plugins page in Matomo.", UnknownMethod},
		{0, "User 'nobody' doesn't exist.", UserMissing},
		{0, "Username: Username 'alice' already exists.", DuplicateLogin},
		{0, "Username: Username 'bob@example.test' already used as an email.", DuplicateLogin},
		{0, "Email: User with email 'alice@example.test' already exists.", DuplicateEmail},
		{0, "email: User with email 'alice@example.test' already exists.", DuplicateEmail},
		{0, "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'alice' for key 'PRIMARY'", DuplicateLogin},
		{0, "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'a@b.test' for key 'uniq_email'", DuplicateEmail},
		{0, "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'alice' for key 'matomo_user.PRIMARY'", DuplicateLogin},
		{0, "Email: The value &quot;bad&quot; does not look like a valid email.", Validation},
		{0, "Username: The username must be between 2 and 100 characters long and contain only letters", Validation},
		{0, "The password length must be greater than 6 characters.", Validation},
		{0, "Please specify a value for 'email'.", Validation},
		{0, "The parameter access must have one of the following values: [ view, write, admin ], 'owner' given.", Validation},
		{0, "No role is set but one of these needs to be set: view, write, admin", Validation},
		{0, "Only one role can be set but multiple have been set. Use only one of: view, write, admin", Validation},
		{0, "Specify at least one website ID in &amp;idSites=", Validation},
		{0, "An unexpected website was found in the request: website id was set to '999' .", Validation},
		{0, "New users must be given access to a website, please set the 'initialIdSite' parameter.", Validation},
		{0, "Removing the Super User access from user 'bridge' is not possible. There has to be at least one user with Super User access.", LastSuperuser},
		{0, "Deleting user 'bridge' is not possible. There has to be at least one user with Super User access.", LastSuperuser},
		{0, "The user 'bridge' has Super User access and has already permission to access and modify all websites in Matomo.", IsSuperuser},
		{0, "The anonymous user cannot be edited or deleted. It is used by Matomo to define a user", Validation},
		{0, "SMTP Error: Could not connect to SMTP host. Failed to connect to server", Refused},
		{500, "SQLSTATE[HY000] [2002] Connection refused", ServerFailure},
		{0, "something new", Refused},
		{429, "", RateLimited},
		{503, "", Maintenance},
		{502, "", ServerFailure},
		{302, "", Redirected},
		{403, "", NoPermission},
		{404, "", Malformed},
	}
	for _, tt := range tests {
		e := classify("X.y", tt.status, tt.message)
		if e.Kind != tt.kind || strings.Contains(e.Message, "&quot;") || strings.Contains(e.Message, "&#039;") {
			t.Errorf("%d %q: %s (%s), want %s", tt.status, tt.message, e.Kind, e.Message, tt.kind)
		}
	}
}

// What a kind means for whoever tries again: transient, the target's, uncertain.
func TestError_Kinds(t *testing.T) {
	type is struct{ transient, target, uncertain bool }
	kinds := map[ErrorKind]is{
		BadToken: {false, true, false}, NoPermission: {false, true, false}, WrongPassword: {false, true, false}, NeedsPassword: {false, true, false},
		SecretMissing: {false, true, false}, LockedOut: {true, true, false}, Maintenance: {true, true, false}, RateLimited: {true, true, false},
		Unreachable: {true, true, true}, ServerFailure: {true, true, true}, Malformed: {true, true, true}, Redirected: {false, true, false},
		IPRefused: {false, true, false}, UsersDisabled: {false, true, false}, UnknownMethod: {}, UserMissing: {}, DuplicateLogin: {}, DuplicateEmail: {},
		Validation: {}, LastSuperuser: {}, IsSuperuser: {}, Protected: {}, Skipped: {true, false, false}, Refused: {true, false, true},
	}
	for k, want := range kinds {
		e := &Error{Kind: k, Method: "X.y"}
		if got := (is{e.Transient(), e.Target(), e.Uncertain()}); got != want {
			t.Errorf("%s: %+v, want %+v", k, got, want)
		}
		if advised := Advice(k) != ""; advised != (want.target && !want.transient || k == LockedOut) {
			t.Errorf("%s: advice %q", k, Advice(k))
		}
	}
	cause := errors.New("cause")
	err := fmt.Errorf("around: %w", &Error{Kind: Unreachable, Method: "X.y", Message: "m", Status: 502, Err: cause})
	if KindOf(err) != Unreachable || !errors.Is(err, cause) || !strings.Contains(err.Error(), "X.y: unreachable (HTTP 502): m") {
		t.Errorf("error %v", err)
	}
	if KindOf(cause) != "" || KindOf(nil) != "" {
		t.Error("a kind out of nothing")
	}
}

func TestPageText(t *testing.T) {
	for page, want := range map[string]string{
		`<title>Matomo &rsaquo; Error</title><div class="content"><h2>It &quot;broke&quot;</h2>
			badly</div>`: `It "broke" badly`,
		`<title>Sign in</title><body>form</body>`: "Sign in",
		`plain words`:                "plain words",
		`1 < 2`:                      "1",
		"":                           "",
		strings.Repeat("word ", 500): strings.Repeat("word ", 60)[:300],
	} {
		if got := pageText(page); got != want {
			t.Errorf("%.40q: %q, want %q", page, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": time.Millisecond, "-1": 0, "soon": 0,
		"Tue, 24 Nov 2026 12:00:30 GMT": 30 * time.Second, "Tue, 24 Nov 2026 11:00:00 GMT": time.Millisecond,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %s, want %s", v, got, want)
		}
	}
}

func TestSecret_ComesBackWhenItChanges(t *testing.T) {
	v := "first"
	s := newSecret("token", BadToken, func() (string, error) { return v + "\n", nil })
	if got, err := s.value("m"); err != nil || got != "first" {
		t.Fatalf("value %q, %v", got, err)
	}
	if !s.reject("first") || s.reject("first") {
		t.Error("the second refusal is news, or the first is none")
	}
	if _, err := s.value("m"); KindOf(err) != BadToken || !s.bad() {
		t.Errorf("refused, and yet %v", err)
	}
	v = "second"
	if _, err := s.value("m"); err != nil || s.bad() {
		t.Errorf("a new value: %v", err)
	}
	v = "first"
	if _, err := s.value("m"); err != nil {
		t.Errorf("the old value after a change is worth one try: %v", err)
	}
	s.prove("first")
	if !s.provenWithin("first", time.Minute) || s.provenWithin("second", time.Minute) {
		t.Error("proof belongs to one value")
	}
	if s.reject("first"); s.provenWithin("first", time.Minute) {
		t.Error("proven and refused")
	}
}

func TestLanes_AddUpToTheLimit(t *testing.T) {
	for _, n := range []int{1, 5, 10, 60, 100, 1000} {
		l := newLanes(n)
		minute := float64(l.shared.Burst()) + float64(l.shared.Limit())*60 + float64(l.kept.Burst()) + float64(l.kept.Limit())*60
		if minute > float64(n)+2.2 || float64(l.shared.Limit())*60+float64(l.kept.Limit())*60 < float64(n)/2 {
			t.Errorf("%d a minute: %.1f at most", n, minute)
		}
	}
	if newLanes(0) != nil {
		t.Error("0 is not unlimited")
	}
}

func TestEndpointOf(t *testing.T) {
	for in, want := range map[string]string{
		"https://m.example.test":                  "https://m.example.test/index.php",
		"https://m.example.test/":                 "https://m.example.test/index.php",
		"https://m.example.test/matomo":           "https://m.example.test/matomo/index.php",
		"https://m.example.test/matomo/index.php": "https://m.example.test/matomo/index.php",
		"http://127.0.0.1:8080/":                  "http://127.0.0.1:8080/index.php",
	} {
		if got, err := endpointOf(in); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]Number{"7": 7, `"8"`: 8, "true": 1, "false": 0, "null": 0, `""`: 0} {
		var n Number
		if err := json.Unmarshal([]byte(in), &n); err != nil || n != want {
			t.Errorf("%s: %d, %v", in, n, err)
		}
	}
	var n Number
	for _, in := range []string{`"x"`, "1.5", "{}", "99999999999"} {
		if err := json.Unmarshal([]byte(in), &n); !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// testConn is a connection that is never used to send.
func testConn(tb testing.TB) *Conn {
	tb.Helper()
	c, err := New(Options{Name: "main", URL: "https://m.example.test", Token: func() (string, error) { return "t", nil }, Transport: http.DefaultTransport})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Whatever comes as the answer to a bulk request: no panic, and either one result a call or an error for all.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`[{"value":true},{"a":[1]},{"result":"success"}]`, `[{"result":"error","message":"User 'x' doesn't exist."},[],null]`,
		`{"result":"error","message":"no"}`, `[[],[],[]`, `[{"value":[]},{"result":["x"]},1]`, `[`, ``, `[{"value":true},{"result":{"a":[]},"message":"x"},{}]`,
	} {
		f.Add(s)
	}
	c := testConn(f)
	f.Fuzz(func(t *testing.T, answer string) {
		var ok bool
		calls := []Call{
			{Method: "a", Decode: Value(&ok)},
			{Method: "b", Decode: Items(func(_ string, dec *json.Decoder) error {
				var n []Number
				return dec.Decode(&n)
			})},
			{Method: "c"},
		}
		var errs []error
		err := c.members(json.NewDecoder(strings.NewReader(answer)), calls, &errs)
		if err == nil && len(errs) != len(calls) {
			t.Fatalf("%q: %d results", answer, len(errs))
		}
		for _, e := range errs {
			if e != nil && KindOf(e) == "" {
				t.Fatalf("%q: a member fails with %v", answer, e)
			}
		}
		if errors.Is(err, io.EOF) && strings.HasSuffix(answer, "]") && json.Valid([]byte(answer)) && strings.HasPrefix(answer, "[") {
			t.Fatalf("%q: a whole answer is taken for a broken one: %v", answer, err)
		}
	})
}
