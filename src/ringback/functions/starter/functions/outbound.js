// Outgoing calls. The SIP domain's voice URL points here: http://HOST/functions/outbound
//
// Decides which number the callee sees, takes the dialled number out of the SIP address, and dials it.
// Try it in a browser: /functions/outbound?To=+15551231234&From=sip:alice@__DOMAIN__

// SIP user -> the number that is shown to whom the user calls. Must be a number of the account.
const CALLER_IDS = __CALLER_IDS__;
const VOICE = { voice: 'alice', language: 'en-US' };

// "sip:+15551231234@host;transport=tcp" -> "+15551231234"; a plain number stays as it is.
function userOf(address) {
  const [, user] = /^(?:sips?:)?([^@;]*)/i.exec(address.trim());
  try {
    return decodeURIComponent(user);
  } catch {
    return user; // a % that begins no escape
  }
}

exports.handler = function (context, event, callback) {
  const twiml = new Twilio.twiml.VoiceResponse();
  const to = userOf(event.To || '');
  const from = userOf(event.From || '');
  // A callerId in the URL comes before the user's own number.
  const callerId = event.callerId || CALLER_IDS[from] || context.DEFAULT_CALLER_ID;
  console.log(`from ${from || 'nobody'} to ${to || 'nobody'}, caller ID ${callerId || 'none'}`);

  if (!to) {
    twiml.say(VOICE, 'Error placing the call. The number to call is required.');
  } else if (!callerId) {
    twiml.say(VOICE, 'Error placing the call. There is no caller I D for this phone.');
  } else if (/^\+?[0-9*#().\- ]+$/.test(to)) {
    twiml.dial({ callerId, referUrl: 'transfer' }, to);
  } else {
    // Not a number: another phone of this domain.
    twiml.dial({ callerId, referUrl: 'transfer' }).sip(`sip:${to}@__DOMAIN__`);
  }
  return callback(null, twiml);
};
