// Transfers. Every <Dial> of this project asks here when a phone's transfer key is pressed (its referUrl, SIP REFER):
// whom to connect with who stays on the line.

// SIP user -> the number that is shown to whom the user calls. Must be a number of the account.
const CALLER_IDS = __CALLER_IDS__;

// "<sip:bob@host?X-Case=7>" -> "bob"; "<tel:+15551231234>" -> "+15551231234"
function userOf(address) {
  const [, user] = /^<?(?:sips?:|tel:)?([^@;?>]*)/i.exec(address.trim());
  try {
    return decodeURIComponent(user);
  } catch {
    return user; // a % that begins no escape
  }
}

exports.handler = function (context, event, callback) {
  const twiml = new Twilio.twiml.VoiceResponse();
  const to = userOf(event.ReferTransferTarget || '');
  // A caller from outside keeps his own number.
  const callerId = CALLER_IDS[userOf(event.From || '')];
  const dial = { referUrl: 'transfer', ...(callerId && { callerId }) };
  console.log(`to be transferred to ${to || 'nobody'}`);

  if (!to) {
    twiml.say('There is nobody to be transferred to.');
  } else if (/^\+?[0-9*#().\- ]+$/.test(to)) {
    twiml.dial(dial, to);
  } else {
    twiml.dial(dial).sip(`sip:${to}@__DOMAIN__`);
  }
  return callback(null, twiml);
};
