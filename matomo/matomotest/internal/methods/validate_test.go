package methods_test

import (
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo/matomotest"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/methods"
)

// call runs one method of a fresh instance's API as its superuser and returns
// the answer.
func call(t *testing.T, s *matomotest.Server, method, form string) string {
	t.Helper()
	return post(t, s, "/?module=API&format=JSON&filter_limit=-1&method="+method, "token_auth="+s.Token()+"&"+form)
}

const (
	ok       = `{"result":"success","message":"ok"}`
	badLogin = "Username: The username must be between 2 and 100 characters long and contain only letters, numbers, or the characters '_' or '-' or '.' or '@' or '+'"
)

func TestAddUser_Login(t *testing.T) {
	for login, good := range map[string]bool{
		"ab": true, "a.b-c_d%2Be@f": true, "0815": true, "%C3%84%C3%96%C3%9C%C3%A4%C3%B6%C3%BC%C3%9F": true, strings.Repeat("x", 100): true,
		"a": false, strings.Repeat("x", 101): false, "a b": false, "a/b": false, "a'b": false, "a,b": false, "a:b": false, "a*b": false,
		"na%C3%AFve": false, "%E6%97%A5%E6%9C%AC": false, "a%00b": false, "%C3%A9a": false,
	} {
		s := matomotest.New(matomotest.Options{})
		got := call(t, s, "UsersManager.addUser", "email=new@example.test&password=Some-Passw0rd1&userLogin="+login)
		if (got == ok) != good || (!good && !strings.Contains(got, badLogin)) {
			t.Errorf("login %s: %s", login, got)
		}
	}
}

func TestAddUser_Email(t *testing.T) {
	for email, good := range map[string]bool{
		"a@b.test": true, "a.b%2Btag@sub.b-c.test": true, "a_b!@b.test": true, strings.Repeat("l", 64) + "@b.test": true,
		"a": false, "a@b": false, "@b.test": false, "a@": false, "a.@b.test": false, ".a@b.test": false, "a..b@b.test": false,
		"a@-b.test": false, "a@b-.test": false, "a@b..test": false, "o'brien@b.test": false, "a%26b@b.test": false, "a b@b.test": false,
		"%C3%BC@b.test": false, strings.Repeat("l", 65) + "@b.test": false, "a@b.test%0a": true, // trimmed
	} {
		s := matomotest.New(matomotest.Options{})
		got := call(t, s, "UsersManager.addUser", "userLogin=new&password=Some-Passw0rd1&email="+email)
		if (got == ok) != good || (!good && !strings.Contains(got, "does not look like a valid email")) {
			t.Errorf("e-mail %s: %s", email, got)
		}
	}
}

// TestAddUser_CrossCheck: a login is nobody else's e-mail, and the other way
// round; both may be the same for one person.
func TestAddUser_CrossCheck(t *testing.T) {
	s := matomotest.New(matomotest.Options{})
	for _, step := range []struct{ form, want string }{
		{"userLogin=a@x.test&email=a@x.test", ""},
		{"userLogin=b@x.test&email=other@x.test", ""},
		{"userLogin=OTHER@x.test&email=c@x.test", "Username: Username 'OTHER@x.test' already used as an email."},
		{"userLogin=new&email=B@x.test", "Email: Email 'B@x.test' already used as a username."},
		{"userLogin=new&email=A@x.test", "Email: User with email 'A@x.test' already exists."},
		{"userLogin=A@X.test&email=c@x.test", "Username: Username 'A@X.test' already exists."},
		{"userLogin=bb&email=b@x.test", "Email: Email 'b@x.test' already used as a username."},
	} {
		want := ok
		if step.want != "" {
			want = `{"result":"error","message":"` + step.want + `"}`
		}
		if got := call(t, s, "UsersManager.addUser", "password=Some-Passw0rd1&"+step.form); got != want {
			t.Errorf("%s: %s, want %s", step.form, got, want)
		}
	}
	// A change of one's own e-mail to one's own login is fine.
	got := call(t, s, "UsersManager.updateUser", "userLogin=b@x.test&email=b@x.test&passwordConfirmation="+s.Password())
	if got != ok {
		t.Errorf("updateUser: %s", got)
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"12345": "The password length must be greater than 6 characters.", "": "The password length must be greater than 6 characters.",
		"123456": "", "äöüäö": "The password length must be greater than 6 characters.", "äöüäöü": "",
		strings.Repeat("ä", 200): "", strings.Repeat("a", 201): "The password length must be less than 200 characters.",
	} {
		got := ""
		if err := methods.CheckPassword(password); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d bytes: %q, want %q", len(password), got, want)
		}
	}
}

func TestUpdateUser_Password(t *testing.T) {
	s := matomotest.New(matomotest.Options{})
	call(t, s, "UsersManager.addUser", "userLogin=alice&email=a@x.test&_isPasswordHashed=1&password=5ebe2294ecd0e0f08eab7690d2a6ee69")
	if !s.CheckPassword("alice", "secret") {
		t.Error("the md5 was not taken for the password")
	}
	for _, form := range []string{"password=12345", "password=" + strings.Repeat("x", 201)} {
		if got := call(t, s, "UsersManager.updateUser", "userLogin=alice&passwordConfirmation="+s.Password()+"&"+form); !strings.Contains(got, "The password length") {
			t.Errorf("%s: %s", form, got)
		}
	}
	if got := call(t, s, "UsersManager.updateUser", "userLogin=alice&password=5f4dcc3b5aa765d61d8327deb882cf99&_isPasswordHashed=1&passwordConfirmation="+s.Password()); got != ok {
		t.Error(got)
	}
	if !s.CheckPassword("alice", "password") || s.FailedLogins("127.0.0.1") != 0 {
		t.Error("the password is not the new one, or something counted as a failure")
	}
}
