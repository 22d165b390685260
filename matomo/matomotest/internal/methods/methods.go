// Package methods holds the methods of Matomo's API that are modelled, grouped
// by the plugin that brings them. Each is a function of a call; package api has
// found out who calls and what.
//
// The table is the index. Parameters, rights and their order are part of it,
// because the first thing that is missing decides the error text.
package methods

import (
	"maps"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// Options says which optional plugins are there.
type Options struct {
	Companion    bool // ScimBridge
	TokenRevoker bool // that of recording 81
	TagManager   bool
}

// The plugins that come with the bridge or with the recordings.
const (
	companion    = "ScimBridge"
	tokenRevoker = "TokenRevoker"
)

// Plugins returns the active plugins, the core's too.
func Plugins(o Options) map[string]bool {
	return map[string]bool{
		"API": true, "UsersManager": true, "SitesManager": true, "ScheduledReports": true, "Dashboard": true,
		"SegmentEditor": true, "Annotations": true, "LanguagesManager": true, "Goals": true, "TwoFactorAuth": true,
		tagManager: o.TagManager, companion: o.Companion, tokenRevoker: o.TokenRevoker,
	}
}

// method describes one method: the parameters without a default, divided by
// spaces, and the checks that come before it.
func method(needs string, run func(*api.Call) error, checks ...api.Check) api.Method {
	return api.Method{Needs: strings.Fields(needs), Checks: checks, Run: run}
}

// Table returns the methods of a version.
func Table(v5 bool) map[string]api.Method {
	table := map[string]api.Method{
		"API.getMatomoVersion":  method("", matomoVersion, api.SomeView),
		"API.getPiwikVersion":   method("", matomoVersion, api.SomeView),
		"API.getPhpVersion":     method("", phpVersion, api.Superuser),
		"API.isPluginActivated": method("pluginName", isPluginActivated, api.SomeView),

		companion + ".getVersion":      method("", companionVersion, api.Superuser),
		companion + ".getTokens":       method("userLogin", listTokens, api.Superuser, api.NotAnonymousAnySpelling),
		companion + ".revokeTokens":    method("userLogin", revokeTokens, api.Superuser, api.NotAnonymousAnySpelling),
		companion + ".logoutUser":      method("userLogin", logoutUser, api.Superuser, api.NotAnonymousAnySpelling),
		tokenRevoker + ".revokeTokens": method("userLogin", revokeTokens, api.Superuser),
		tokenRevoker + ".countTokens":  method("userLogin", countTokens, api.Superuser),
	}
	maps.Copy(table, users())
	maps.Copy(table, accesses())
	maps.Copy(table, websites())
	maps.Copy(table, belongings())
	// Matomo 4 asks for this password as for any parameter without a default,
	// Matomo 5 with the text of a confirmation.
	reset := "userLogin passwordConfirmation"
	if v5 {
		reset = "userLogin"
	}
	table["TwoFactorAuth.resetTwoFactorAuth"] = method(reset, resetTwoFactor, api.Superuser, api.Confirm)
	return table
}

// Matomo3 returns the method that Matomo 3 has besides and that later versions
// lack. It was read in the source of 3.14.1 and not measured: a person has exactly
// one token there, and nothing mints another.
func Matomo3() map[string]api.Method {
	return map[string]api.Method{
		"UsersManager.regenerateTokenAuth": method("userLogin", regenerateToken, api.SuperuserOrSelf("userLogin"), api.NotAnonymous),
	}
}

// users are the methods about accounts.
func users() map[string]api.Method {
	const m = "UsersManager."
	return map[string]api.Method{
		m + "userExists":                    method("userLogin", userExists),
		m + "userEmailExists":               method("userEmail", userEmailExists, api.LoggedIn, api.SomeView),
		m + "getUser":                       method("userLogin", getUser, api.SuperuserOrSelf("userLogin")),
		m + "getUserByEmail":                method("userEmail", getUserByEmail, api.Superuser),
		m + "getUserLoginFromUserEmail":     method("userEmail", getUserLoginFromUserEmail, api.LoggedIn, api.SomeAdmin),
		m + "getUsers":                      method("", getUsers, api.SomeAdmin),
		m + "getUsersLogin":                 method("", getUsersLogin, api.SomeAdmin),
		m + "getUsersPlusRole":              method("idSite", getUsersPlusRole, api.OnSite(model.Admin)),
		m + "getUsersHavingSuperUserAccess": method("", getUsersHavingSuperUserAccess, api.LoggedIn),
		m + "hasSuperUserAccess":            method("", hasSuperUserAccess),
		m + "addUser":                       method("userLogin password email", addUser, api.SomeAdmin, api.UsersAdmin, api.ConfirmSession),
		m + "updateUser":                    method("userLogin", updateUser, api.SuperuserOrSelf("userLogin"), api.UsersAdmin, api.NotAnonymous),
		m + "deleteUser":                    method("userLogin", deleteUser, api.SomeAdmin, api.UsersAdmin, api.ConfirmSession, api.NotAnonymous),
		m + "setSuperUserAccess":            method("userLogin hasSuperUserAccess", setSuperUserAccess, api.Superuser, api.UsersAdmin, api.NotAnonymous, api.Confirm),
		m + "inviteUser":                    method("userLogin email", inviteUser, api.SomeAdmin, api.UsersAdmin, api.ConfirmSession),
		m + "resendInvite":                  method("userLogin", resendInvite, api.SomeAdmin),
		m + "generateInviteLink":            method("userLogin", generateInviteLink, api.SomeAdmin),
		m + "setUserPreference":             method("userLogin preferenceName preferenceValue", setUserPreference, api.SuperuserOrSelf("userLogin")),
		m + "getUserPreference":             method("preferenceName", getUserPreference, api.LoggedIn),
		m + "createAppSpecificTokenAuth":    method("userLogin passwordConfirmation description", createAppSpecificTokenAuth, api.NeedUnlocked),
	}
}

// accesses are the methods about the access table.
func accesses() map[string]api.Method {
	const m = "UsersManager."
	return map[string]api.Method{
		m + "setUserAccess":            method("userLogin access idSites", setUserAccess, api.UsersAdmin, api.LoggedIn),
		m + "addCapabilities":          method("userLogin capabilities idSites", addCapabilities, api.UsersAdmin, api.LoggedIn, api.NotAnonymous),
		m + "removeCapabilities":       method("userLogin capabilities idSites", removeCapabilities, api.UsersAdmin, api.LoggedIn),
		m + "getSitesAccessFromUser":   method("userLogin", getSitesAccessFromUser, api.Superuser),
		m + "getSitesAccessForUser":    method("userLogin", getSitesAccessForUser, api.SomeAdmin),
		m + "getUsersSitesFromAccess":  method("access", getUsersSitesFromAccess, api.Superuser),
		m + "getUsersAccessFromSite":   method("idSite", getUsersAccessFromSite, api.OnSite(model.Admin)),
		m + "getUsersWithSiteAccess":   method("idSite access", getUsersWithSiteAccess, api.OnSite(model.Admin)),
		m + "getAvailableRoles":        method("", getAvailableRoles, api.SomeAdmin),
		m + "getAvailableCapabilities": method("", getAvailableCapabilities, api.SomeAdmin),
	}
}

// websites are the methods of the SitesManager.
func websites() map[string]api.Method {
	const m = "SitesManager."
	return map[string]api.Method{
		m + "getAllSites":                     method("", getAllSites, api.Superuser),
		m + "getAllSitesId":                   method("", getAllSitesID, api.Superuser),
		m + "getSitesIdWithAdminAccess":       method("", idsWith(model.Admin)),
		m + "getSitesIdWithAtLeastViewAccess": method("", idsWith(model.View)),
		m + "getSitesWithAdminAccess":         method("", sitesWith(model.Admin)),
		m + "getSitesWithAtLeastViewAccess":   method("", sitesWith(model.View)),
		m + "getSitesGroups":                  method("", getSitesGroups, api.Superuser),
		m + "getSitesFromGroup":               method("", getSitesFromGroup, api.Superuser),
		m + "getPatternMatchSites":            method("pattern", getPatternMatchSites),
		m + "getSiteFromId":                   method("idSite", getSiteFromID, api.OnSite(model.View)),
		m + "addSite":                         method("siteName", addSite, api.Superuser),
		m + "deleteSite":                      method("idSite", deleteSite, api.Superuser, api.ConfirmSession),
	}
}

// belongings are the methods about what people make in Matomo. The companion of
// updateReport, deleteReport, is not in the recordings; the bridge uses both.
func belongings() map[string]api.Method {
	const report = "idSite description period hour reportType reportFormat reports parameters"
	self := api.SuperuserOrSelf("login")
	return map[string]api.Method{
		"ScheduledReports.addReport":          method(report, addReport, api.LoggedIn, api.OnSite(model.View)),
		"ScheduledReports.updateReport":       method("idReport "+report, updateReport, api.LoggedIn),
		"ScheduledReports.deleteReport":       method("idReport", deleteReport, api.LoggedIn),
		"ScheduledReports.getReports":         method("", getReports, api.SomeView),
		"Dashboard.getDashboards":             method("", getDashboards, api.LoggedIn),
		"Dashboard.createNewDashboardForUser": method("login", createNewDashboardForUser, api.LoggedIn, self),
		"SegmentEditor.add":                   method("name definition", addSegment, api.LoggedIn, api.OnSite(model.View)),
		"SegmentEditor.update":                method("idSegment name definition", updateSegment, api.LoggedIn),
		"SegmentEditor.getAll":                method("", getSegments, api.SomeView),
		"Annotations.add":                     method("idSite date note", addAnnotation, api.LoggedIn, api.OnSite(model.View)),
		"Annotations.getAll":                  method("idSite", getAnnotations, api.OnSite(model.View)),
		"LanguagesManager.getLanguageForUser": method("login", getLanguageForUser, self),
		"LanguagesManager.setLanguageForUser": method("login languageCode", setLanguageForUser, self),
		"Goals.addGoal":                       method("idSite name matchAttribute pattern patternType", addGoal, api.OnSite(model.Write)),
	}
}
