<?php

namespace Piwik\Plugins\ScimBridge\tests;

use PHPUnit\Framework\TestCase;
use Piwik\Piwik;
use Piwik\Plugins\ScimBridge\API;
use Piwik\Plugins\UsersManager\Model;

class ApiTest extends TestCase
{
    /** @var World */
    private $world;

    /** @var API */
    private $api;

    /** @var string a login that nobody else has */
    private $ada;

    /** @var string */
    private $bob;

    protected function setUp(): void
    {
        $this->world = World::$current;
        $this->api = new API(new Model());
        $this->ada = uniqid('ada');
        $this->bob = uniqid('bob');
        $this->world->addUser($this->ada);
        $this->world->addUser($this->bob);
    }

    protected function tearDown(): void
    {
        $this->world->clean();
    }

    /** Every method that is about somebody, as a function of the login. */
    private function methods(): array
    {
        return [
            'getTokens' => function ($login) {
                return $this->api->getTokens($login);
            },
            'revokeTokens' => function ($login) {
                return $this->api->revokeTokens($login);
            },
            'revokeTokens, one' => function ($login) {
                return $this->api->revokeTokens($login, '1');
            },
            'logoutUser' => function ($login) {
                $this->api->logoutUser($login);
            },
        ];
    }

    private function refusal(callable $call): string
    {
        try {
            $call();
        } catch (\Exception $e) {
            return $e->getMessage();
        }
        return 'not refused';
    }

    private function mint(string $login, ?string $expires = null, bool $system = false): int
    {
        return $this->world->addToken($login, bin2hex(random_bytes(16)), 'minted by a test', $expires, $system);
    }

    public function testOnlySuperusersAreAnswered(): void
    {
        $id = $this->mint($this->ada);
        $since = $this->world->sessionsValidSince($this->ada);
        $this->world->actAsSuperuser(false);
        $methods = $this->methods() + ['getVersion' => function () {
            return $this->api->getVersion();
        }];
        foreach ($methods as $name => $method) {
            $refusal = $this->refusal(function () use ($method) {
                $method($this->ada);
            });
            $this->assertStringContainsString("requires a 'superuser' access", $refusal, $name);
        }
        $this->assertSame([$id], $this->world->tokenIds($this->ada));
        $this->assertSame($since, $this->world->sessionsValidSince($this->ada));
    }

    /** Who may not call is not told which logins exist. */
    public function testAccessIsCheckedBeforeTheLogin(): void
    {
        $this->world->actAsSuperuser(false);
        foreach ($this->methods() as $name => $method) {
            $refusal = $this->refusal(function () use ($method) {
                $method('nobody');
            });
            $this->assertStringContainsString("requires a 'superuser' access", $refusal, $name);
        }
    }

    public function testAnonymousIsRefusedInAnySpelling(): void
    {
        $want = Piwik::translate('UsersManager_ExceptionEditAnonymous');
        foreach ($this->methods() as $name => $method) {
            foreach (['anonymous', 'Anonymous'] as $login) {
                $this->assertSame($want, $this->refusal(function () use ($method, $login) {
                    $method($login);
                }), $name);
            }
        }
    }

    public function testUnknownLoginsAreRefused(): void
    {
        foreach ($this->methods() as $name => $method) {
            foreach (['nobody' => 'nobody', '' => '', '%' => '%'] as $login => $shown) {
                $want = Piwik::translate('UsersManager_ExceptionUserDoesNotExist', $shown);
                $this->assertSame($want, $this->refusal(function () use ($method, $login) {
                    $method($login);
                }), $name);
            }
        }
    }

    public function testAListOfLoginsIsNotALogin(): void
    {
        $id = $this->mint($this->ada);
        $want = Piwik::translate('UsersManager_ExceptionUserDoesNotExist', '(list)');
        foreach ($this->methods() as $name => $method) {
            $this->assertSame($want, $this->refusal(function () use ($method) {
                $method([$this->ada]);
            }), $name);
        }
        $this->assertSame([$id], $this->world->tokenIds($this->ada));
    }

    public function testListsTokensThatWorkAndNoSecret(): void
    {
        $first = $this->world->addToken($this->ada, 'secret-one' . $this->ada, 'a laptop');
        $later = $this->mint($this->ada, gmdate('Y-m-d H:i:s', time() + 3600));
        $system = $this->mint($this->ada, null, true);
        $expired = $this->mint($this->ada, gmdate('Y-m-d H:i:s', time() - 60));
        $this->mint($this->bob);

        $tokens = $this->api->getTokens($this->ada);

        $this->assertSame([$first, $later, $system], array_column($tokens, 'id'));
        $this->assertSame(['id', 'description', 'date_created', 'last_used', 'date_expired'], array_keys($tokens[0]));
        $this->assertSame('a laptop', $tokens[0]['description']);
        $this->assertMatchesRegularExpression('/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/', $tokens[0]['date_created']);
        $this->assertNull($tokens[0]['last_used']);
        $this->assertNull($tokens[0]['date_expired']);
        $this->assertNotNull($tokens[1]['date_expired']);
        $answer = json_encode($tokens);
        foreach (['secret-one' . $this->ada, $this->world->hashOf($first), $this->world->hashOf($expired)] as $secret) {
            $this->assertStringNotContainsString($secret, $answer);
        }
    }

    public function testWhoHasNoTokensHasAnEmptyList(): void
    {
        $this->assertSame([], $this->api->getTokens($this->ada));
    }

    public function testRevokesAllOfOnePerson(): void
    {
        $this->mint($this->ada);
        $this->mint($this->ada, null, true);
        $this->mint($this->ada, gmdate('Y-m-d H:i:s', time() - 60));
        $other = $this->mint($this->bob);

        $this->assertSame(['deleted' => 3], $this->api->revokeTokens($this->ada));
        $this->assertSame([], $this->world->tokenIds($this->ada));
        $this->assertSame([$other], $this->world->tokenIds($this->bob));
        $this->assertSame(['deleted' => 0], $this->api->revokeTokens($this->ada));
    }

    public function testRevokesOneOfOnePerson(): void
    {
        [$first, $second, $other] = [$this->mint($this->ada), $this->mint($this->ada), $this->mint($this->bob)];

        $this->assertSame(['deleted' => 1], $this->api->revokeTokens($this->ada, (string) $first));
        $this->assertSame([$second], $this->world->tokenIds($this->ada));
        $this->assertSame(['deleted' => 0], $this->api->revokeTokens($this->ada, $first));
        $this->assertSame(['deleted' => 0], $this->api->revokeTokens($this->ada, $other), 'the token of somebody else');
        $this->assertSame([$other], $this->world->tokenIds($this->bob));
        $this->assertSame(['deleted' => 1], $this->api->revokeTokens($this->ada, $second));
    }

    public function testWhatIsNoIdEndsNothing(): void
    {
        $id = $this->mint($this->ada);
        foreach (['0', 0, '-1', 'abc', "{$id}x", " $id", "$id\n", '', 'true', [$id], "0$id", '99999999999999999999'] as $bad) {
            $refusal = $this->refusal(function () use ($bad) {
                $this->api->revokeTokens($this->ada, $bad);
            });
            $this->assertStringStartsWith('idTokenAuth must be the id of a token', $refusal, json_encode($bad));
        }
        $this->assertSame([$id], $this->world->tokenIds($this->ada));
    }

    public function testTheTrackerForgetsAtOnce(): void
    {
        $id = $this->mint($this->ada);
        foreach ([[$this->ada, $id], [$this->ada], [$this->ada]] as $arguments) {
            $this->world->fillTrackerCache();
            $this->assertTrue($this->world->isTrackerCacheFilled());
            $this->api->revokeTokens(...$arguments);
            $this->assertFalse($this->world->isTrackerCacheFilled(), 'also when there was nothing left to delete');
        }
    }

    /** Matomo's condition for a session to be over is start < ts_password_modified. */
    public function testLogoutEndsTheSessionsOfThisVerySecond(): void
    {
        $id = $this->mint($this->ada);
        $others = $this->world->sessionsValidSince($this->bob);
        $started = time();
        $this->api->logoutUser($this->ada);
        $ended = time();
        $since = $this->world->sessionsValidSince($this->ada);
        $this->assertGreaterThan($started, $since);
        $this->assertLessThanOrEqual($ended + 1, $since, 'or the person could not sign in again');
        $this->assertSame($others, $this->world->sessionsValidSince($this->bob));
        $this->assertSame([$id], $this->world->tokenIds($this->ada));
    }

    public function testLoginsInAnotherSpelling(): void
    {
        $this->mint($this->ada);
        $other = strtoupper($this->ada);
        $this->assertCount(1, $this->api->getTokens($other));
        $this->assertSame(['deleted' => 1], $this->api->revokeTokens($other));
        $this->api->logoutUser($other);
        $this->assertGreaterThan(time() - 60, $this->world->sessionsValidSince($this->ada));
    }

    public function testVersionIsThatOfThePackage(): void
    {
        $package = json_decode(file_get_contents(__DIR__ . '/../ScimBridge/plugin.json'), true);
        $this->assertSame($package['version'], $this->api->getVersion());
        $this->assertSame('ScimBridge', $package['name']);
        $this->assertSame('GPL-3.0-or-later', $package['license']);
    }
}
